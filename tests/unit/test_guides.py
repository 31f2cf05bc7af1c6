# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guides show: each piece of YAML, inventory and command line is one that the collection takes."""

from __future__ import annotations

import ast
import configparser
import re
import shlex
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.cli.playbook import PlaybookCLI
from ansible_collections.dbops.alembic.plugins.module_utils._releases import Releases
from ansible_collections.dbops.alembic.plugins.plugin_utils import _variables
from pygments.lexers import get_lexer_by_name

from support.documented import options_of
from support.paths import ROOT

RST = ROOT / "docs" / "docsite" / "rst"
GUIDES = sorted(RST.glob("*.rst"))
PAGES = [*GUIDES, ROOT / "docs" / "site" / "index.rst", ROOT / "README.md"]
#: Prefixes of variables, to find those that a page names in its text.
NAMED = re.compile(r"``((?:application|release|schema|backup|health|traffic|deployment)_[a-z0-9_]+)(?:[=:.][^`]*)?``")
#: A module of ours as the key of a task, or the group.
CALL = re.compile(r"(?:group/)?dbops\.alembic\.[a-z_]+$")
#: Variables of playbooks that use no role.
OF_PLAYBOOKS = re.compile(r"\b((?:plan_check|rolling)_\w+)\b")


def blocks(path: Path, language: str) -> list[str]:
    """The blocks of a page in that language, as a reader copies them."""
    if path.suffix == ".md":
        return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)
    found = re.findall(rf"^( *)\.\. code-block:: {language}\n\n((?:\1   .*\n|\n)+)", path.read_text(), re.MULTILINE)
    return [textwrap.dedent(text) for _indent, text in found]


def commands(path: Path) -> list[list[str]]:
    """The arguments of every ansible-playbook that a page shows; what it leaves out is left out."""
    lines = [line for text in blocks(path, "console") for line in re.sub(r"\\\n", " ", text).splitlines()]
    lines += [line for text in blocks(path, "yaml") for line in re.findall(r"(?:- |run: )(ansible-playbook .*)", text)]
    found = [line.partition("ansible-playbook ")[2] for line in lines if "ansible-playbook " in line]
    return [[word for word in shlex.split(line) if word != "…"] for line in found]


def probes(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The probes of containers, by name."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        if str(key).endswith("Probe"):
            yield str(key), item
        yield from probes(item)


def test_every_probe_that_is_shown_has_a_timeout_of_its_own() -> None:
    """The usual one of a second takes all pods out of their traffic while a migration holds locks."""
    shown = [
        (path.name, *found)
        for path in PAGES
        for text in blocks(path, "yaml")
        for document in yaml.safe_load_all(text)
        for found in probes(document)
    ]
    assert {name for _page, name, _probe in shown} >= {"readinessProbe", "startupProbe"}
    assert not [found for found in shown if found[2].get("timeoutSeconds", 1) < 2]


def inventories(value: Any) -> Iterator[dict[str, Any]]:
    """The variables of each group and host."""
    if isinstance(value, dict):
        for group in value.values():
            if isinstance(group, dict) and isinstance(group.get("hosts"), dict):
                yield group.get("vars") or {}
                yield from (variables for variables in group["hosts"].values() if variables)


def tasks(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every use of a module of ours, and of the group of modules, in whatever depth."""
    for item in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
        yield from tasks(item)
    if isinstance(value, dict):
        yield from ((name.rpartition(".")[2], given or {}) for name, given in value.items() if CALL.match(str(name)))


def known() -> dict[str, dict[str, Any]]:
    return _variables.known_options()


def of_playbooks() -> set[str]:
    return {name for path in (ROOT / "playbooks").rglob("*.yml") for name in OF_PLAYBOOKS.findall(path.read_text())}


def of_modules() -> set[str]:
    folders = (ROOT / "plugins" / "modules", ROOT / "plugins" / "doc_fragments")
    return {
        name for path in folders for file in path.glob("*.py") for name in re.findall(r"^  (\w+):$", file.read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_what_is_yaml_can_be_read(path: Path) -> None:
    for text in blocks(path, "yaml"):
        assert yaml.safe_load(text), text


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_an_inventory_has_variables_that_there_are(path: Path) -> None:
    options, playbooks = known(), of_playbooks()
    for text in blocks(path, "yaml"):
        for variables in inventories(yaml.safe_load(text)):
            ours = {name: value for name, value in variables.items() if name not in playbooks}
            assert _variables.refusals({"host": ours}, options) == [], text


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_command_line_is_one(path: Path) -> None:
    options, playbooks = known(), of_playbooks()
    for words in commands(path):
        given = PlaybookCLI(["ansible-playbook", *words])
        given.init_parser()
        parsed = given.parser.parse_args(words)
        assert len(parsed.args) == 1, words
        if parsed.args[0].startswith("dbops.alembic."):
            assert (ROOT / "playbooks" / f"{parsed.args[0].rpartition('.')[2]}.yml").exists(), words
        extra = dict(pair.split("=", 1) for pair in parsed.extra_vars if pair[0] != "@")
        assert set(extra) <= {*options, *playbooks}, words
        for name in set(extra) & set(options):
            assert extra[name] in options[name].get("choices", [extra[name]]), words


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_variable_that_a_text_names_is_there(path: Path) -> None:
    known_names = {*known(), *_variables.RESULTS, *of_modules()}
    assert {name for name in NAMED.findall(path.read_text()) if not name.endswith("_")} - known_names == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_task_has_options_that_its_module_takes(path: Path) -> None:
    for text in blocks(path, "yaml"):
        for module, given in tasks(yaml.safe_load(text)):
            options = options_of(module)
            assert set(given) <= set(options), f"{module}: {text}"
            for name, value in given.items():
                values = value if isinstance(value, list) else [value]
                assert all(one in options[name].get("choices", values) for one in values), f"{module}: {name}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_what_is_python_or_a_configuration_can_be_read(path: Path) -> None:
    for text in blocks(path, "python"):
        ast.parse(text)
    for text in blocks(path, "ini"):
        assert configparser.ConfigParser(interpolation=None).read_string(text) is None


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_block_is_in_the_language_that_it_says(path: Path) -> None:
    """As Sphinx asks it, for which another one is a warning, and so a failure of make docs."""
    for language in set(re.findall(r"^ *\.\. code-block:: (\S+)$", path.read_text(), re.MULTILINE)):
        lexer = get_lexer_by_name(language)
        lexer.add_filter("raiseonerror")
        for text in blocks(path, language):
            assert list(lexer.get_tokens(text)), text


def test_there_is_something_to_look_at() -> None:
    shown = {words[-1] for path in PAGES for words in commands(path)}
    assert len(shown) > 15
    assert len({module for path in PAGES for text in blocks(path, "yaml") for module, _given in tasks(yaml.safe_load(text))}) > 8
    assert sum(len(blocks(path, "python")) for path in PAGES) > 5 and any(blocks(path, "ini") for path in PAGES)
    assert all(commands(path) and blocks(path, "yaml") for path in GUIDES if path.stem.startswith("from_"))
    assert any(list(inventories(yaml.safe_load(text))) for text in blocks(RST / "from_playbook.rst", "yaml"))


def test_each_page_is_in_the_list_once() -> None:
    listed = re.findall(r"^      - (\w+)$", (RST.parent / "extra-docs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == [path.stem for path in GUIDES]


def test_the_layout_that_the_page_makes_is_taken_over(tmp_path: Path) -> None:
    """The commands of the page are run; what runs today is the active release then, and is nothing that would be removed."""
    (tmp_path / "app").mkdir()
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (script,) = (text for text in blocks(RST / "from_playbook.rst", "console") if "mkdir" in text)
    for line in filter(None, script.splitlines()):
        subprocess.run(shlex.split(line.lstrip("$ ").replace("/srv/orders", str(tmp_path))), check=True)
    releases = Releases(str(tmp_path))
    assert releases.active() == "1.3.2" and releases.refused() == []
    assert (tmp_path / "current" / "venv" / "bin").is_dir()
    assert not releases.found("1.3.2").proof and releases.found("1.4.0").folder_proof


def test_the_table_of_products_is_what_is_tried() -> None:
    """Versions and databases of the guide on real products are those that make test-projects has."""
    from projects.known import DATABASES, PROJECTS

    names = {"PostgreSQL": "pg", "SQLite": "sqlite", "MariaDB": "mariadb"}
    rows = re.findall(r"   \* - ([a-z-]+)\n     - ([\d.]+), ([\d.]+)\n     - (.+)\n", (RST / "guide_real_products.rst").read_text())
    told = {}
    for product, old, new, databases in rows:
        name = product.removeprefix("arize-").removeprefix("apache-")
        told[name] = tuple(kind for text, kind in names.items() if text in databases)
        for version, file in ((old, f"{name}-old"), (new, name)):
            pins = (ROOT / "tests" / "projects" / "requirements" / f"{file}.txt").read_text().splitlines()
            assert f"{product}=={version}" in [pin.replace("_", "-") for pin in pins], file
    assert told == {name: DATABASES.get(name, ("pg", "sqlite")) for name in PROJECTS}
