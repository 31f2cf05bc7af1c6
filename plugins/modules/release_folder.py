#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_folder
short_description: Build, activate and remove the releases of a host
description:
  - A release is a folder of its own in C(releases/), and the link C(current) beside it points at the active one.
  - Nothing is removed or replaced that this module did not make. A release is its own when the marker in it says so, or when a note
    beside it says that it is not whole. C(releases/) is, when it carries a mark, is empty, holds a release that was made so, or
    when C(current) points at a folder in it.
  - What C(current) points at is never removed, nor what is mounted below a release.
options:
  root:
    description: The folder that holds C(releases/) and the link C(current). It is made when it is missing.
    type: path
    required: true
  version:
    description:
      - The name of the release, and of its folder. Letters, digits and C(. _ - + ~ !), where it begins with a letter or a digit.
      - Needed unless O(state=inactive) or O(state=pruned).
    type: str
  state:
    description:
      - V(building) makes an empty folder for the release, and removes what an interrupted build has left there. A release that is
        whole is refused.
      - V(unpacked) takes away the folder that an archive has around everything, where there is one, from a release that is being
        built, and lets all users read the folders that were made under a stricter umask.
      - V(linked) makes O(links) in a release that is being built.
      - V(built) makes O(links), and says that the release is whole and what it was made from.
      - V(active) points C(current) at the release, in one rename; V(inactive) removes the link.
      - V(absent) removes the release, if it is not the active one.
      - V(pruned) removes the oldest releases that were made so.
    type: str
    choices: [building, unpacked, linked, built, active, inactive, absent, pruned]
    default: active
  origin:
    description: What the release was made from. Needed with O(state=built).
    type: dict
  links:
    description:
      - "Links to make in the release: place in the release → target. Needed with O(state=linked); O(state=built) makes them too."
      - What the release has at that place is replaced, unless it is a folder with something in it.
    type: dict
  strip_components:
    description:
      - How many folders around everything O(state=unpacked) takes away. One that has something beside it stays; C(__MACOSX),
        C(.DS_Store) and names that begin with C(._) are not counted.
    type: int
    default: 1
  keep_count:
    description: How many releases O(state=pruned) keeps, at least one.
    type: int
    default: 5
  protected:
    description: Versions that O(state=pruned) keeps besides.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - dbops.alembic.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
seealso:
  - module: dbops.alembic.release_folder_info
  - module: dbops.alembic.kubernetes_release
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
"""

EXAMPLES = r"""
- name: Make room for a release
  dbops.alembic.release_folder:
    root: /srv/shop
    version: 1.4.0
    state: building

- name: Say that it is whole
  dbops.alembic.release_folder:
    root: /srv/shop
    version: 1.4.0
    state: built
    origin: {source: archive, from: shop-1.4.0.tar.gz}

- name: Point current at it
  dbops.alembic.release_folder:
    root: /srv/shop
    version: 1.4.0

- name: Remove old releases
  dbops.alembic.release_folder:
    root: /srv/shop
    state: pruned
    keep_count: 3
"""

RETURN = r"""
path:
  description: The folder of the release; empty where no version was given.
  returned: success
  type: str
  sample: /srv/shop/releases/1.4.0
active_version:
  description: The release that C(current) points at now.
  returned: success
  type: str
  sample: 1.4.0
removed:
  description: The versions that were removed, or would be.
  returned: success
  type: list
  elements: str
  sample: [1.1.0]
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: not_ours
hint:
  description: What to do next.
  returned: failure, where there is one
  type: str
  sample: Prepare it, or name one of these.
"""

from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._release_folder import release_folder_spec, run_release_folder


def main() -> None:
    module = release_folder_spec().create_module()
    try:
        result = run_release_folder(module.params, module.check_mode)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
