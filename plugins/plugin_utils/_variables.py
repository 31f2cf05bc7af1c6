# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of the roles, as an inventory and a command line give them, held against the argument specs of all roles."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.yaml import yaml_load
from ansible_collections.dbops.alembic.plugins.module_utils._argspec import kubernetes_spec
from ansible_collections.dbops.alembic.plugins.module_utils._core import fleet, names, rolling
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.workload import workload_spec
from jinja2.exceptions import UndefinedError

ROLES = Path(__file__).resolve().parents[2] / "roles"
#: What an option is made of that the validator of Ansible knows; the rest is documentation.
_CHECKED = ("type", "choices", "elements")
#: Type → what Ansible's filter of that name makes of nothing, which is hardly what somebody meant who left it empty.
_NOT_EMPTY = {"bool": "false", "float": "0", "int": "0"}
_NUMBERS = {"float": "a number", "int": "a whole number"}
#: Number → the least of it that means something, where that is not 0: with no time at all nothing can stop or answer.
LEAST = {
    **{
        "application_stop_timeout_seconds": 1,
        "deployment_backfill_max_batches": 1,
        "fleet_parallel": 1,
        "health_timeout_seconds": 1,
    },
    **{"deployment_rows_given_up": -1, "fleet_rows_given_up": -1},  # which is any number
}
#: Variables whose keys are those of the option ``kubernetes`` of the modules, and which of its numbers are more than 0.
OF_JOBS, JOB_TIMES = ("schema_kubernetes", "backup_kubernetes"), ("deadline", "patience")
#: ... and which are names of objects, with their grammars.
_OBJECTS = {"namespace": "namespace", "secret": "object", "service_account": "object", "image": "image"}
#: What the roles set themselves, so that a later playbook of the same run, or a cache of facts, still has it.
RESULTS = (
    *("application_answer", "application_found", "application_problems", "application_serves", "application_stopped"),
    *("application_kubernetes_brought", "application_logs", "application_status", "backup_archive", "backup_check", "backup_found"),
    *(
        "backup_list",
        "backup_plan",
        "backup_restored",
        "backup_restore_untouched",
        "backup_restored_rows",
        "backup_snapshot",
        "deployment_result",
        "deployment_status",
        "fleet_found",
        "fleet_listed",
        "fleet_one_found",
        "fleet_outcome",
        "fleet_outlook",
        "fleet_plan",
        "fleet_problem",
        "fleet_stays",
    ),
    *(
        "health_release",
        "release_status",
        "schema_applied",
        "schema_found",
        "schema_found_pending",
        "schema_found_problem",
        "schema_found_read_only",
        "schema_init_container",
        "schema_migration",
    ),
    *("schema_plan", "schema_rehearsal", "schema_rendered", "schema_rows", "schema_rows_written", "schema_steps_taken"),
)
#: The list of the names and patterns that are the user's own.
OWN = "deployment_own_variables"
#: Their variables are of no deployment: AWX itself gives every job some that begin as those do, and names of hooks are anybody's.
APART = ("awx", "maintenance_page", "notify")
#: A name is taken for a slip of a known one from this likeness on (difflib's ratio).
_ALIKE = 0.6
#: The grammar of resource.Quantity in k8s.io/apimachinery.
_QUANTITY = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?\Z")
#: ... to which each word adds that it shares with it: the likeness of letters alone finds strange ones.
_WORD = 0.2
#: What playbooks tell a role, and nobody else does.
_TOLD = ("deployment_pass", "deployment_step")
Options = Mapping[str, Mapping[str, Any]]


def known_options(roles: Path = ROLES) -> dict[str, dict[str, Any]]:
    """Return variable → option, of every entry point of every role that takes part in a deployment, and what few need."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(path for path in roles.glob("*/meta/argument_specs.yml") if path.parents[1].name not in APART):
        for entry in reversed(yaml_load(path.read_text(encoding="utf-8"))["argument_specs"].values()):  # main has the last word
            found.update(entry.get("options") or {})
        further = path.with_name("further_options.yml")
        found.update(yaml_load(further.read_text(encoding="utf-8"))["options"] if further.exists() else {})
    return found


def refusals(given: Mapping[str, Mapping[str, Any]], options: Options | None = None) -> list[str]:
    """Return what can not be used, one message for each variable and value, with the hosts that have it.

    :param given: host → its variables, the migrator first; each is read only where something is asked of it.
        What its ``deployment_own_variables`` lists, names or patterns such as ``application_*``, is the user's own.
    :param options: variable → option; those of the roles unless told.
    """
    known = known_options() if options is None else options
    found: dict[str, list[str]] = {}
    for host, variables in given.items():
        for message in (*_unknown(variables, known), *_unfit(variables, known), *_of_jobs(variables), *_of_some(variables)):
            found.setdefault(message, []).append(host)
    told = [text if len(hosts) == len(given) else f"{text} ({', '.join(hosts)})" for text, hosts in found.items()]
    return [*told, *_unmade(next(iter(given.values()), {})), *_one_workload_twice(given)]


def _unknown(variables: Mapping[str, Any], known: Options) -> Iterator[str]:
    prefixes = tuple({name.split("_", 1)[0] + "_" for name in known})
    unknown = sorted(name for name in variables if name.startswith(prefixes) and name not in known and name not in RESULTS)
    own = variables[OWN] if unknown and OWN in variables else ()
    own = [own] if isinstance(own, str) else own
    for name in unknown:
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in own):
            continue
        near = _nearest(name, known)
        meant = f" Did you mean {near}?" if near else ""
        yield f"{name} is no variable of these roles.{meant} Where it is one of your own, list it in {OWN}."


def _nearest(name: str, known: Options) -> str:
    """Return the variable that was probably meant; empty where none is near."""
    role, *words = name.split("_")

    def likeness(other: str) -> float:
        others = other.split("_")[1:]
        shared = sum(any(one.startswith(word) or word.startswith(one) for one in others) for word in words if len(word) > 2)
        return difflib.SequenceMatcher(None, other, name).ratio() + _WORD * shared

    alike = {other: likeness(other) for other in known if other not in _TOLD}
    near = {other: degree + _WORD * other.startswith(role + "_") for other, degree in alike.items() if degree >= _ALIKE}
    return max(near, key=lambda other: near[other], default="")


def _unfit(variables: Mapping[str, Any], known: Options, splits: bool = False) -> Iterator[str]:
    """Say what is of the wrong type or none of the choices; a text without choices is not even read, as it may be a secret.

    :param splits: whether a module takes what is given, which splits a text at its commas where it wants a list; tasks would
        take each letter for an item.
    """
    for name, option in known.items():
        spec = {key: option[key] for key in _CHECKED if key in option}
        if name not in variables or (spec.get("type", "str") in ("str", "path", "raw") and "choices" not in spec):
            continue
        try:
            value = variables[name]
            if value is None or value == "":
                if spec.get("type") in _NOT_EMPTY and option.get("default") not in (None, ""):
                    meant = _NOT_EMPTY[spec["type"]]
                    yield f"{name} is empty, which would be {meant}. Leave it out to have {option['default']}, or set it."
                elif "choices" in spec and option.get("default") not in (None, ""):
                    choices = ", ".join(str(choice) for choice in spec["choices"])
                    yield f"{name} is empty. Leave it out to have {option['default']}, or set it to one of: {choices}."
                continue  # as good as not given, where the role allows it
            if isinstance(value, str) and (problem := "" if splits and spec.get("type") == "list" else _as_text(name, spec)):
                yield problem
                continue
            value = _bare(value)
        except (AnsibleError, UndefinedError):
            continue  # made of what is only known later, or of hostvars, which is not there where a host is looked at from outside
        checked = ArgumentSpecValidator({name: spec}).validate({name: value})
        if spec.get("type") in _NUMBERS:
            yield from _no_number(name, value, None if checked.error_messages else checked.validated_parameters[name], spec["type"])
        else:
            yield from (f"{name}: {problem}" for problem in checked.error_messages)


def _as_text(name: str, spec: Mapping[str, Any]) -> str:
    """Return why a text can not be what a dictionary or a list is; empty where it can."""
    if spec.get("type") == "dict":
        return f"{name}: it is a text, and has to be a dictionary. On the command line write one as JSON: -e '{{…}}'."
    if spec.get("type") == "list" and spec.get("elements") != "int" and name != OWN:
        return f'{name}: it is a text, and has to be a list. On the command line write one as JSON: -e \'{{"{name}": ["…"]}}\'.'
    return ""


def _no_number(name: str, value: Any, number: float | None, kind: str) -> Iterator[str]:
    """Say what is no number, or one that means nothing."""
    least = LEAST.get(name, 0)
    if number is None:
        yield f"{name} is {value!r}, and has to be {_NUMBERS[kind]}, from {least} on."
    elif number < least:
        yield f"{name} is {number}, and less than {least} means nothing here. Set it to a number from {least} on."


def _of_jobs(variables: Mapping[str, Any]) -> Iterator[str]:
    """Say which keys of a variable no Job has, and what of them does not fit."""
    keys: Options = kubernetes_spec().options["kubernetes"]["options"]
    for name in OF_JOBS:
        try:
            given = variables.get(name)
            given = given if isinstance(given, Mapping) else {}
            for key in sorted(set(map(str, given)) - set(keys)):
                near = difflib.get_close_matches(key, keys, 1, _ALIKE)
                yield f"{name} has the key {key}, which no Job has.{f' Did you mean {near[0]}?' if near else ''}"
            yield from (f"{name}.{message}" for message in _unfit(given, keys, splits=True))
            for key in JOB_TIMES:
                if key in given and str(given[key]).strip() in ("0", "0.0"):
                    yield f"{name}.{key} is 0, so that no Job could ever do its work. Set it to a number of seconds."
            yield from (f"{name}.resources{told}" for told in _no_resources(given.get("resources")))
            for key, kind in _OBJECTS.items():
                # Before ansible-core 2.19 what is known later only is still a template.
                if given.get(key) and "{{" not in str(given[key]):
                    yield from filter(None, [names.refusal(f"{name}.{key}", kind, given[key])])
        except (AnsibleError, UndefinedError):
            continue
    given = variables.get("release_kubernetes_workload")
    places = workload_spec().options
    unknown = sorted(set(map(str, given)) - set(places)) if isinstance(given, Mapping) else []
    for key in unknown:
        yield f"release_kubernetes_workload has the key {key}, and says where a workload is by {', '.join(sorted(places))}."


def _no_resources(resources: Any) -> Iterator[str]:
    """Say which limits and requests are none that Kubernetes could read."""
    for side, given in resources.items() if isinstance(resources, Mapping) else ():
        if side not in ("limits", "requests", "claims"):
            yield f" has the key {side}, and holds limits and requests."
        for what, value in given.items() if isinstance(given, Mapping) else ():
            if not _QUANTITY.match(str(value)) and "{{" not in str(value):
                yield f".{side}.{what} is {value!r}. Write it as Kubernetes does, without a space: 500m, 2, 512Mi, 1Gi."


def _of_some(variables: Mapping[str, Any]) -> Iterator[str]:
    """Say what does not fit of what has a grammar of its own and would be read only where it is used."""
    for name, problem in _GRAMMARS.items():
        try:
            value = variables.get(name)
            told = "" if value is None or (isinstance(value, str) and "{{" in value) else problem(value)
        except (AnsibleError, UndefinedError):
            continue
        if told:
            yield told if told.startswith(name) else f"{name}: {told}"


def _batches(value: Any) -> str:
    try:
        rolling.batches(["one"], value)
    except MigrationError as exc:
        return f"{exc.msg} {exc.hint}"
    return ""


def _shares(value: Any) -> str:
    try:
        for item in value if isinstance(value, (list, tuple)) else [value]:
            fleet.share(str(item), 1)
    except ValueError as exc:
        return f"{exc}. Give a number such as 2, or a share such as 10%."
    return ""


def _statuses(value: Any) -> str:
    empty = isinstance(value, (str, list, tuple)) and not value
    return "it is empty, so no answer would be right. Leave it out to have 200, or name the statuses." if empty else ""


#: Variable → what is said of a value that can not be used; nothing where it can.
_GRAMMARS: Mapping[str, Callable[[Any], str]] = {
    "deployment_rolling_batch": _batches,
    "rolling_batch": _batches,
    "deployment_rolling_override": lambda value: rolling.without_reason(value) if isinstance(value, Mapping) else "",
    "fleet_batches": _shares,
    "fleet_max_failures": _shares,
    "health_status": _statuses,
}


def _unmade(variables: Mapping[str, Any]) -> Iterator[str]:
    """Say what the URL of the database lacks: to the roles it would be one that nobody has given."""
    try:
        str(variables.get("schema_database_url"))
    except (AnsibleError, UndefinedError) as exc:
        missing = re.search(r"'(\w+)' is undefined", str(exc))
        if missing and missing.group(1) not in ("hostvars", "groups"):  # which are not there where a host is looked at from outside
            yield (
                f"schema_database_url can not be made, since there is no variable {missing.group(1)}. Is it misspelt, or the file"
                " or the vault that holds it not among those of the inventory?"
            )


def _one_workload_twice(given: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Say which application hosts are one workload: it would be stopped twice, and the one that was meant not at all."""
    places: dict[tuple[str, ...], list[str]] = {}
    for host, variables in given.items():
        try:
            if variables.get("application_manager") != "kubernetes":
                continue
            if variables.get("deployment_application_group", "application") not in variables.get("group_names", ()):
                continue  # it only migrates
            name = variables.get("application_name")
            options = {"kind": "deployment", "name": name, "namespace": name, "kubeconfig": "", "context": ""}
            place = tuple(str(variables.get(f"application_kubernetes_{key}", default)) for key, default in options.items())
        except (AnsibleError, UndefinedError):
            continue
        places.setdefault(place, []).append(host)
    for (kind, name, namespace, *_cluster), hosts in places.items():
        if len(hosts) > 1:
            yield (
                f"{', '.join(sorted(hosts))} are one workload, the {kind} {name} in the namespace {namespace}. Set"
                " application_kubernetes_name of each to the workload that it is, or leave the host out."
            )


def _bare(value: Any) -> Any:
    """Return what the validator looks at: it copies that, and with a container of Ansible's all variables of the run."""
    if isinstance(value, Mapping):
        return dict.fromkeys(value)
    return [_bare(item) for item in value] if isinstance(value, (list, tuple)) else value
