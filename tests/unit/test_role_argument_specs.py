# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Argument specifications against defaults, against task files, and against the variables that tasks use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import sources
from support.documented import options_of

ROLES = Path(__file__).resolve().parents[2] / "roles"
NAMES = sorted(path.name for path in ROLES.iterdir() if path.is_dir())
CHECKS = {"str": str, "path": str, "int": int, "float": (int, float), "bool": bool, "list": list, "dict": dict}
UNITS = re.compile(r"_(wait|delay|timeout|interval|duration)$")


def load(role: str, *parts: str) -> Any:
    return sources.read(ROLES.joinpath(role, *parts)) or {}


def entries(role: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = load(role, "meta", "argument_specs.yml")["argument_specs"]
    return found


def further(role: str) -> dict[str, dict[str, Any]]:
    return load(role, "meta", "further_options.yml")["options"] if (ROLES / role / "meta" / "further_options.yml").exists() else {}


def options(role: str) -> dict[str, dict[str, Any]]:
    """Of all entry points, main last, and what few need."""
    return {**{k: v for entry in reversed(entries(role).values()) for k, v in entry["options"].items()}, **further(role)}


@pytest.mark.parametrize("role", NAMES)
def test_every_entry_point_is_a_task_file_and_each_option_is_told_of_once(role: str) -> None:
    """At the entry point that it is special to, else at main, or where few look. What has to be given is asked for everywhere."""
    needed = {name for name, option in options(role).items() if option.get("required")}
    told = [*further(role), *needed]
    for name, entry in entries(role).items():
        assert (ROLES / role / "tasks" / f"{name}.yml").exists(), name
        assert needed <= set(entry["options"]), name
        assert all(entry["options"][option]["type"] == options(role)[option]["type"] for option in needed)
        assert entry["short_description"] and entry["description"], name
        told += set(entry["options"]) - needed
    assert sorted(told) == sorted(set(told)), role


@pytest.mark.parametrize("role", [role for role in NAMES if further(role)])
def test_what_few_need_is_checked_where_the_role_is_used_by_itself(role: str) -> None:
    first = load(role, "tasks", "main.yml")[0]
    assert "/meta/further_options.yml" in first["ansible.builtin.validate_argument_spec"]["argument_spec"]
    assert "R(Further variables," in " ".join(entries(role)["main"]["description"])


@pytest.mark.parametrize("role", NAMES)
def test_options_and_defaults_are_the_same(role: str) -> None:
    defaults, described = load(role, "defaults", "main.yml"), options(role)
    required = {name for name, option in described.items() if option.get("required")}
    assert set(defaults) == set(described) - required
    for name, value in defaults.items():
        assert described[name]["default"] == value, name
        assert type(described[name]["default"]) is type(value), name


@pytest.mark.parametrize("role", NAMES)
def test_options_are_named_and_typed_well(role: str) -> None:
    for name, option in options(role).items():
        assert name.startswith(f"{role}_") or name == "application_name", name
        assert not UNITS.search(name), f"{name} is a duration and does not end in _seconds"
        assert option["description"], name
        default = option.get("default")
        if default is None or (isinstance(default, str) and "{{" in default):
            continue
        assert isinstance(default, CHECKS[option["type"]]), name
        assert isinstance(default, bool) == (option["type"] == "bool"), name
        values = default if option["type"] == "list" else [default]
        assert set(values) <= set(option["choices"]) if "choices" in option else True, name
        if option["type"] == "bool":
            assert name.endswith(("_enabled", "_trusted", "_validate_certs")), name


def written(role: str) -> list[Path]:
    """The files of a role that use its variables."""
    return [path for kind in ("tasks/*.yml", "templates/*.j2", "vars/**/*.yml") for path in (ROLES / role).glob(kind)]


@pytest.mark.parametrize("role", NAMES)
def test_every_variable_of_the_role_that_its_files_use_is_known(role: str) -> None:
    """A misspelt variable is an error of a run, often in the middle of a window; here it is found before."""
    facts = {
        match
        for path in ROLES.glob("*/tasks/*.yml")
        for match in re.findall(
            rf"(?:^|\n) +((?:_)?{role}_[a-z_]+):|vars: {{(_?{role}_[a-z_]+):|(?:register|loop_var|index_var): (_?{role}_[a-z_]+)",
            path.read_text(),
        )
    }
    known = {name for pair in facts for name in pair if name} | set(options(role)) | set(sources.variables(role))
    for path in [
        *(ROLES / role).glob("tasks/*.yml"),
        *(ROLES / role).glob("templates/*.j2"),
        *(ROLES / role).glob("vars/**/*.yml"),
    ]:
        text = re.sub(r"#.*|dbops\.alembic\.\w+|'[^']*'", "", path.read_text())
        used = set(re.findall(rf"(?<![\w.'/])(_?{role}_[a-z_]+)\b", text))
        assert used <= known, f"{path}: {sorted(used - known)}"


def tasks_of(entries: Any) -> Iterator[dict[str, Any]]:
    """Every task of a file, and every block."""
    for entry in entries or ():
        yield entry
        for part in ("block", "rescue", "always"):
            yield from tasks_of(entry.get(part))


@pytest.mark.parametrize("role", NAMES)
def test_no_variable_of_a_task_is_hidden_by_a_fact(role: str) -> None:
    """What is registered or set as a fact wins over the vars of a task and of a role, for the rest of the playbook."""
    facts, variables = set(), set(sources.variables(role))
    for other in NAMES:  # facts are the host's, whichever role set them
        for path in (ROLES / other / "tasks").glob("*.yml"):
            for task in tasks_of(sources.read(path)):
                facts |= {task["register"]} if "register" in task else set()
                facts |= set(task.get("ansible.builtin.set_fact") or ())
                variables |= set(task.get("vars") or ()) if other == role else set()
    assert facts & variables == set()


#: A variable, and what is put over it.
COMBINED = re.compile(r"\s*\{\{ (\w+)((?: \| combine\((?:\w+|\{.*?\})\))*) \}\}\s*")


def keys_of(expression: str, variables: dict[str, Any]) -> set[str]:
    """The keys of the dictionary that an expression combines of variables of roles; none where it makes it in another way."""
    combined = COMBINED.fullmatch(expression)
    if not combined:
        return set()
    found: set[str] = set()
    for name, literal in [(combined[1], ""), *re.findall(r"combine\((?:(\w+)|(\{.*?\}))\)", combined[2])]:
        value = variables.get(name, "")
        found |= set(re.findall(r"'(\w+)':", literal)) | (set(value) if isinstance(value, dict) else keys_of(value, variables))
        found -= set(re.findall(r"'(\w+)': omit\b", literal))
    return found


def defaults_of_modules() -> Iterator[tuple[str, str, str]]:
    """File, module and what its options are by default, of each task that gives some."""
    for path in ROLES.glob("*/tasks/*.yml"):
        for task in tasks_of(sources.read(path)):
            for given in (task.get("module_defaults") or {}).values():
                for module in [name for name in task if name.startswith("dbops.alembic.")]:
                    yield f"{path.parts[-3]}/{path.name}", module.rpartition(".")[2], str(given)


def test_what_a_module_is_given_by_default_is_an_option_of_it() -> None:
    """One that it has not fails the task as soon as the variable is set that it comes from."""
    variables = {name: value for role in NAMES for name, value in sources.variables(role).items()}
    found = list(defaults_of_modules())
    assert len(found) > 60 and keys_of("{{ _backup_server }}", variables) >= {"url", "maintenance_database"}
    wrong = {(file, module, key) for file, module, given in found for key in keys_of(given, variables) - set(options_of(module))}
    assert wrong == set()


@pytest.mark.parametrize("role", NAMES)
def test_a_loop_has_a_variable_of_its_role(role: str) -> None:
    """That of another loop, of ours or of a playbook that includes the role in one, would be hidden by it."""
    others = set(sources.variables(role))
    for path in (ROLES / role / "tasks").glob("*.yml"):
        for task in tasks_of(sources.read(path)):
            variable = task.get("loop_control", {}).get("loop_var", "")
            assert "loop" not in task or (variable.startswith(f"_{role}_") and variable not in others), f"{path}: {task['name']}"


def switches() -> dict[str, str]:
    """Variable → the filter that makes its type of a string, for every switch and number of any role."""
    makes = {"bool": "bool", "int": "int", "float": "float"}
    return {name: makes[option["type"]] for role in NAMES for name, option in options(role).items() if option.get("type") in makes}


def expressions(path: Path) -> Iterator[str]:
    """Every Jinja expression of a file that is more than the name of a variable handed on, texts in it left out."""
    text = path.read_text()
    found = re.findall(r"{{-?(.*?)-?}}|{%-?(.*?)-?%}", text, re.DOTALL)
    inside = [part for pair in found for part in pair if part and not re.fullmatch(r"\s*\w+\s*", part)]
    if path.suffix == ".yml" and path.parent.name == "tasks":
        for task in tasks_of(sources.read(path)):
            for keyword in ("when", "until", "failed_when", "changed_when"):
                inside += map(str, task[keyword] if isinstance(task.get(keyword), list) else [task.get(keyword, "")])
            asserted = (task.get("ansible.builtin.assert") or {}).get("that", [])
            inside += map(str, asserted if isinstance(asserted, list) else [asserted])
            for value in {**(task.get("vars") or {}), **(task.get("ansible.builtin.set_fact") or {})}.values():
                inside += re.findall(r"^{{\s*(\w+_(?:enabled|trusted|certs))\s*}}$", value) if isinstance(value, str) else []
    return (" ".join(re.sub(r"'[^']*'|\"[^\"]*\"", "''", part).split()) for part in inside)


#: Variables of roles that playbooks give them and which the command line may say all the same, and why.
SAID_BY_BOTH = {
    **dict.fromkeys(
        ("schema_release_path", "backup_release_path", "fleet_release_path"), "one place for all steps is what it says"
    ),
    **dict.fromkeys(("fleet_one", "fleet_one_revision", "backup_restore_look_enabled"), "which one is restored is asked before"),
    **dict.fromkeys(("schema_observe_retries", "schema_rows_wait_enabled"), "how long is waited"),
    **dict.fromkeys(
        ("deployment_build_enabled", "deployment_limit_enabled", "deployment_needs_binding_enabled"), "what is asked of hosts"
    ),
    **dict.fromkeys(("deployment_pass", "deployment_step"), "no playbook would be one any more, which its first play finds"),
    "release_scratch_enabled": "whether check mode builds",
    "schema_database_url": "refused by itself, where it does harm",
}


def given_by_playbooks(node: Any) -> Iterator[str]:
    """Every variable that the tasks and plays below give."""
    if isinstance(node, dict):
        yield from node["vars"] if isinstance(node.get("vars"), dict) else ()
        for value in node.values():
            yield from given_by_playbooks(value)
    elif isinstance(node, list):
        for item in node:
            yield from given_by_playbooks(item)


def test_what_a_playbook_says_at_a_step_can_not_be_overruled_unnoticed() -> None:
    """The command line and AWX win over the variables of a task: what is given so is refused, or has another name there."""
    asked = (ROLES / "deployment" / "tasks" / "asked.yml").resolve()
    paths = [*(ROLES / "deployment" / "tasks").glob("*.yml"), *(ROLES.parent / "playbooks").rglob("*.yml")]
    (refused,) = (set(task["vars"]) for task in sources.read(asked))
    given = {name for path in paths if path.resolve() != asked for name in given_by_playbooks(sources.read(path))}
    assert (given & {name for role in NAMES for name in options(role)}) - refused == set(SAID_BY_BOTH) - {"schema_database_url"}
    words = sources.read(ROLES / "deployment" / "vars" / "main" / "refused.yml")["_deployment_own_words"]
    assert set(words) == refused - {"schema_database_url"} and all(value == f"{{{{ {name} }}}}" for name, value in words.items())


@pytest.mark.parametrize("role", NAMES)
def test_switches_and_numbers_are_made_of_what_a_command_line_gives(role: str) -> None:
    """`-e x=false` is a string: no condition for new versions of ansible-core, and true for old ones."""
    makes, wrong = switches(), []
    names = re.compile(
        rf"(~ ?)?(?<![\w.])({'|'.join(makes)})\b(?! is (?:not )?defined)( ?~)?(?: ?\| ?default\([^()]*\))?(?: ?\| ?(\w+))?"
    )
    for path in [
        *(ROLES / role).glob("tasks/*.yml"),
        *(ROLES / role).glob("templates/*.j2"),
        *(ROLES / role).glob("vars/**/*.yml"),
    ]:
        for expression in expressions(path):
            for before, name, after, made in names.findall(expression):
                shown = makes[name] != "bool" and (before or after)  # a number in a text
                if not shown and made != makes[name] and not {made, makes[name]} <= {"int", "float"}:
                    wrong.append(f"{path.relative_to(ROLES)}: {name} in {expression[:120]}")
    assert not wrong, "\n".join(wrong)
