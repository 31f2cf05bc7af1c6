#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: migration_manifests
short_description: Write the migration as manifests, for those who deploy by other means
description:
  - Writes what M(dbops.alembic.alembic_upgrade) with O(dbops.alembic.alembic_upgrade#module:kubernetes) would run, instead of
    running it. Each file has the worker inside, with its lock, its timeouts and its verification, and needs nothing but the
    application's image.
  - V(job) is a Job whose name follows from its content. V(helm_hook) is the same as a hook before install and upgrade. It is a
    template of your chart and names no namespace, so it runs in that of the release and takes the Secret there.
  - V(init_container) is a patch of the workload; of pods that start at once one migrates and the others wait for it.
    V(compose) is a service C(migrations) of Docker Compose that the application waits for. V(entrypoint) is a script that
    migrates and then becomes its arguments.
  - No database is looked at, and no cluster. O(kubernetes) is needed; of O(url) and O(urls) nothing is written.
extends_documentation_fragment:
  - dbops.alembic.application
  - dbops.alembic.application.job
  - dbops.alembic.project
  - dbops.alembic.migration
  - dbops.alembic.attributes
options:
  directory:
    description:
      - The folder of the files. It is made when it is missing. Without it nothing is written, and RV(manifests) has them.
      - A file that this module did not write, such as a project's own C(compose.yaml), is not written over; then nothing is.
    type: path
  forms:
    description: What to write. C(job.yaml), C(helm-hook.yaml), C(init-container-patch.yaml), C(compose.yaml) and C(entrypoint.sh).
    type: list
    elements: str
    choices: [job, helm_hook, init_container, compose, entrypoint]
    default: [job, helm_hook, init_container, compose, entrypoint]
  workload_kind:
    description: The kind of the workload that the init container goes into.
    type: str
    choices: [deployment, statefulset]
    default: deployment
  workload_name:
    description: Its name. That of the application unless told otherwise.
    type: str
  revision:
    description:
      - Target, as Alembic understands it, such as V(head), V(heads), V(+2), a revision or the beginning of one,
        V(branch@head) or V(ae10+2).
      - V(head) is refused when the scripts have several heads. Ask for all of them with V(heads).
      - A target that points backwards is refused; that is M(dbops.alembic.alembic_downgrade).
    type: str
    default: head
  max_pending:
    description:
      - Refuse to run more revisions than this, with the error kind V(too_many_pending). V(1) makes sure that a release brings
        one revision and no more.
    type: int
  initialise:
    description:
      - What to do with a database that has no version table, which Alembic has never touched.
      - V(upgrade) runs all revisions from the first one.
      - V(command) runs O(initialise_command) under the lock, looks again, stamps O(initialise_revision) if there is one and
        the command has left no version table, and runs what is pending then. For an application whose migrations can not
        start from an empty database.
      - V(stamp) records O(initialise_revision) without running anything, and upgrades from there. For a database whose tables
        were there before Alembic was.
      - V(refuse) fails with the error kind V(not_initialised).
    type: str
    choices: [upgrade, command, stamp, refuse]
    default: upgrade
  initialise_command:
    description:
      - Program and arguments, run in O(chdir) with the O(environment), and with the folder of the application's Python first
        in the path. Required with O(initialise=command).
    type: list
    elements: str
  initialise_revision:
    description:
      - Revision to stamp. Required with O(initialise=stamp).
    type: str
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
requirements:
  - PyYAML, for the Python of the host that the files are written on
seealso:
  - module: dbops.alembic.alembic_upgrade
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
"""

EXAMPLES = r"""
- name: Write the Job and the patch for an init container
  dbops.alembic.migration_manifests:
    directory: deploy/migration
    forms: [job, init_container]
    chdir: /app
    python: /app/venv/bin/python
    kubernetes:
      namespace: shop
      application: shop
      image: registry.example.com/shop:1.2
      secret: shop-database
      url_variable: DATABASE_URL
"""

RETURN = r"""
files:
  description: The files, changed or not.
  returned: success
  type: list
  elements: str
  sample: [deploy/migration/job.yaml, deploy/migration/init-container-patch.yaml]
manifests:
  description: File name and content of each.
  returned: success, without O(directory)
  type: dict
  sample: {"job.yaml": "apiVersion: batch/v1"}
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: options_invalid
hint:
  description: What to do next.
  returned: failure, where there is one
  type: str
  sample: Put them into a Secret and name it in kubernetes.environment_secrets.
"""

from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.render import manifests_spec, run_manifests


def main() -> None:
    module = manifests_spec().create_module()
    try:
        result = run_manifests(module.params, module.check_mode)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
