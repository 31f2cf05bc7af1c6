# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter refused_names."""

from __future__ import annotations

DOCUMENTATION = r"""
name: refused_names
short_description: Say which names that a user gave can not be used
version_added: 0.1.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes variables of the roles with their values, and says for each why it can not be used, where that is so. Versions,
    applications, references of git, services, groups, backups and folders each have a grammar. So have the URL of a health check
    and that of a database, of which nothing is shown, and hooks have files that are there.
  - Most of them become a part of a path. An empty version, V(..) or V(../../x) would be the folder of somebody else.
  - The roles and playbooks use it before they touch a host; other playbooks may.
positional: _input
options:
  _input:
    description:
      - The variables and their values. What is no variable of the roles is left alone.
      - What is empty is refused only where something is needed.
    type: dict
    required: true
  building:
    description:
      - Whether a release is to be built, so that its version and its source are needed, unless C(release_source) is V(none).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Refuse names that can not be used
  ansible.builtin.fail:
    msg: "{{ refused | join('\n') }}"
  when: refused | length > 0
  vars:
    refused: "{{ {'application_name': application_name, 'release_version': release_version} | dbops.alembic.refused_names }}"
"""

RETURN = r"""
_value:
  description:
    - Which variable holds what, what it may hold, and what to do. Empty when all can be used.
  type: list
  elements: str
  sample:
    - "release_version holds '..'. It is the name of a release and its folder, and may hold letters, digits and . _ - + ~ !, …"
"""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.module_utils._core import names
from ansible_collections.dbops.alembic.plugins.module_utils._worker.redaction import environment_secrets
from ansible_collections.dbops.alembic.plugins.plugin_utils._database_url import UrlError, parse

#: The variables that hold the URL of a database, the one before which the other is called after first.
URLS = ("schema_database_url", "backup_database_url")
#: The kinds of database that can be copied and asked who is connected.
DIALECTS = ("postgresql", "mysql", "mariadb", "sqlite")


def refused_names(given: Any, building: bool = False) -> list[str]:
    if not isinstance(given, Mapping):
        raise AnsibleFilterError(f"refused_names: the input is of type {type(given).__name__}, not a dictionary of variables")
    given = {**given, "building": building}
    return [*names.refusals(given), *_of_urls(given), *_of_releases(given), *_of_jobs(given), *_of_files(given)]


def _of_urls(given: Mapping[str, Any]) -> Iterator[str]:
    """Refuse the URL of a database whose copies are called after it. Nothing of one is told, as it may hold a password."""
    seen = []
    for variable in URLS:
        if variable not in given or given[variable] in seen:
            continue
        seen.append(given[variable])
        problem = _problem_of_url(given[variable])
        if problem:
            yield f"{variable} {problem}"


def _problem_of_url(value: Any) -> str:
    if value is None or value == "":
        return "is empty. Set it to the URL of the database, such as postgresql+psycopg2://user:password@host/name."
    if not isinstance(value, str):
        return f"holds {names.shown(value)}, and not the URL of a database."
    try:
        found = parse(value)
    except UrlError as exc:
        return f"can not be used: {exc}."
    if found.dialect not in DIALECTS:
        return f"is that of a {names.shown(found.dialect)}, and what is deployed here is on one of: {', '.join(DIALECTS)}."
    if found.dialect == "sqlite" and (found.name == ":memory:" or value.partition(":///")[2].startswith("file:")):
        return "is that of a SQLite database in memory, or of one that is given by a URI. Give the path of a file."
    if not found.name:
        return (
            "names no database, and its copies and archives are called after it. Write the name too, such as"
            " postgresql:///orders?service=orders."
        )
    return ""


def _of_releases(given: Mapping[str, Any]) -> Iterator[str]:
    """Refuse what has to outlive a release and is in its folder: the next one begins without it, and it goes with its release."""
    if not given.get("building") or given.get("release_source") not in names.BUILT:
        return
    root, chdir = str(given.get("release_root") or ""), str(given.get("schema_chdir") or "")
    links = [str(name) for name in given.get("release_links") or ()]
    for variable, url in (given.get("release_databases") or {}).items():
        path = parse(url).name if _dialect(url) == "sqlite" else ""
        if path and path != ":memory:" and names.in_release(path, root, chdir, links):
            yield (
                f"{variable} is the SQLite file {names.shown(path)} in the folder of a release. The next release would begin with"
                " an empty one, and this one is removed with its release. Give the whole path of a file elsewhere, such as"
                " sqlite:////srv/shop/shared/shop.db, or keep its folder outside of the releases with release_links."
            )
    for variable, path in (given.get("release_folders") or {}).items():
        if isinstance(path, str) and path.startswith("/") and names.in_release(path, root, "", links):
            yield (
                f"{variable} is {names.shown(path)} in the folder of a release, with which it is removed. Name a folder outside of"
                " the releases."
            )


def _of_jobs(given: Mapping[str, Any]) -> Iterator[str]:
    """Refuse what is asked of Jobs and none can do."""
    runner, claim = given.get("schema_runner") or "host", given.get("backup_kubernetes_claim")
    if runner != "host" and _dialect(given.get("schema_database_url")) == "sqlite":
        yield (
            f"schema_runner is {runner}, and schema_database_url is a SQLite database: a Job has a file system of its own, without"
            " that file. Set schema_runner to host, on a migrator that has the file, or use a database server."
        )
    environment = given.get("schema_environment")
    secret = sorted(
        str(name)
        for name, value in (environment.items() if runner != "host" and isinstance(environment, Mapping) else ())
        if environment_secrets({str(name): str(value)})
    )
    if secret:
        yield (
            f"schema_environment has secrets ({', '.join(secret)}), and schema_runner is {runner}: the Jobs would hold them. Put"
            " them into a Secret and name it in schema_kubernetes.environment_secrets."
        )
    dialect, written = _dialect(given.get("backup_database_url")), given.get("backup_archive_format", "custom")
    if claim and dialect and (dialect != "postgresql" or written not in ("custom", "directory")):
        yield (
            "backup_kubernetes_claim is for PostgreSQL and backup_archive_format custom or directory, and not for"
            f" {dialect}{f' in the format {written}' if dialect == 'postgresql' else ''}. Leave it out, so that a host writes the"
            " archives, or set the format."
        )


def _dialect(url: Any) -> str:
    """Return the kind of database; nothing where that can not be read, which is told of the URL itself."""
    try:
        return parse(url).dialect if isinstance(url, str) else ""
    except UrlError:
        return ""


def _of_files(given: Mapping[str, Any]) -> Iterator[str]:
    """Refuse task files of the operator that are not there, which would be found out when the step has come."""
    hooks, folder = given.get("deployment_hooks"), given.get("playbook_dir")
    for name, path in hooks.items() if isinstance(hooks, Mapping) else ():
        yield from _of_file(f"deployment_hooks names {path} for {name}", path, folder)
    for name in names.TRAFFIC_TASKS if given.get("traffic_method") == "tasks" else ():
        yield from _of_file(f"{name} names {given.get(name)}", given.get(name), folder)


def _of_file(what: str, path: Any, folder: Any) -> Iterator[str]:
    """Say that there is no such file.

    :param folder: that of the playbook, where Ansible looks for what is no whole path; without it that is not looked at.
    """
    if not isinstance(path, str) or not path.strip():
        return
    whole = os.path.isabs(path)
    places = [path] if whole else [os.path.join(folder, path), os.path.join(folder, "tasks", path)] if folder else []
    if not places or any(os.path.isfile(place) for place in places):
        return
    if whole:
        yield f"{what}, and there is no such file on the controller."
    else:
        yield (
            f"{what}, and there is no such file in {folder}, where the playbook is. Write the whole path, such as"
            " {{ inventory_dir }}/" + path + "."
        )


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"refused_names": refused_names}
