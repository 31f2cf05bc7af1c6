# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Composition of argument specs, and what the specs of the modules promise each other."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils import _argspec as specs
from ansible_collections.dbops.alembic.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.dbops.alembic.plugins.module_utils._fleet.spec import fleet_spec

MODULES = {
    "alembic_info": specs.info_spec,
    "alembic_upgrade": specs.upgrade_spec,
    "alembic_downgrade": specs.downgrade_spec,
    "alembic_fleet": fleet_spec,
    "alembic_stamp": specs.stamp_spec,
    "alembic_check": specs.check_spec,
    "alembic_revision": specs.revision_spec,
}
WRITERS = ("alembic_upgrade", "alembic_downgrade", "alembic_stamp", "alembic_fleet")
FOLLOWED = ("alembic_upgrade", "alembic_downgrade", "alembic_fleet")
# AnsibleModule itself takes these away; ansible-core's own list is ansible.module_utils.common.parameters.PASS_VARS and friends.
TAKEN = {"message", "syslog_facility"}


RULES = ("mutually_exclusive", "required_together", "required_one_of", "required_if")


def test_sum_holds_the_options_and_the_rules_of_both():
    left = ArgumentSpec(options={"a": {"type": "str"}}, required_by={"a": ("b",)}, **dict.fromkeys(RULES, (("a", "b"),)))
    right = ArgumentSpec(options={"b": {"type": "int"}}, required_by={"b": ("a",)}, **dict.fromkeys(RULES, (("b", "c"),)))
    assert (left + right).as_arguments() == {
        "argument_spec": {"a": {"type": "str"}, "b": {"type": "int"}},
        "required_by": {"a": ["b"], "b": ["a"]},
        **{rule: [["a", "b"], ["b", "c"]] for rule in RULES},
    }


def test_sum_leaves_its_parts_alone():
    left, right = ArgumentSpec(options={"a": {}}), ArgumentSpec(options={"b": {}})
    assert set((left + right).options) == {"a", "b"}
    assert set(left.options) == {"a"} and set(right.options) == {"b"}


def test_an_option_specified_twice_is_a_defect():
    with pytest.raises(ValueError, match="options specified twice: a, b"):
        ArgumentSpec(options={"b": {}, "a": {}}) + ArgumentSpec(options={"a": {}, "b": {}, "c": {}})


def test_rules_without_content_are_not_passed_on():
    assert ArgumentSpec(options={"a": {}}).as_arguments() == {"argument_spec": {"a": {}}}


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_name_the_project(name):
    spec = MODULES[name]()
    place = set(specs.kubernetes_spec().options) if name == "alembic_fleet" else set()  # it works on a host alone
    assert set(specs.project_spec().options) - place <= set(spec.options)
    assert ("chdir", "config") in spec.required_one_of
    assert ("python", "virtualenv") in spec.mutually_exclusive


@pytest.mark.parametrize("name", MODULES)
def test_what_may_hold_a_password_is_never_logged(name):
    options = MODULES[name]().options
    assert options["url"]["no_log"] is True
    assert options["urls"]["no_log"] is True
    assert options["environment"]["no_log"] is False  # its values are judged one by one


@pytest.mark.parametrize("name", MODULES)
def test_no_option_has_a_name_that_ansible_takes_away(name):
    assert not TAKEN & set(MODULES[name]().options)


@pytest.mark.parametrize("name", WRITERS)
def test_writers_share_how_they_write(name):
    options = MODULES[name]().options
    shared = specs.migration_spec().options
    assert {option: options[option] for option in shared} == shared


@pytest.mark.parametrize("name", FOLLOWED)
def test_followed_modules_take_what_the_action_plugin_hands_them(name):
    spec = MODULES[name]()
    assert {"job", "wait", "cursor", "reconnect"} <= set(spec.options)
    assert spec.required_by["wait"] == ("job",) and spec.required_by["cursor"] == ("job",)


ENDS = """
import sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.dbops.alembic.plugins.module_utils._argspec import ArgumentSpec
with patch_module_args({}):
    getattr(ArgumentSpec({}).create_module(), sys.argv[1])(warnings=["mind the gap"], msg="no")
"""


@pytest.mark.parametrize("ends", ["exit_json", "fail_json"])
def test_the_warnings_of_a_result_are_given_as_ansible_takes_them(ends: str) -> None:
    """In a process of its own, as in that of a controller Ansible shows them itself."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", ENDS, ends], env=environment, capture_output=True, text=True, check=False)
    said = json.loads(done.stdout)
    assert "mind the gap" in json.dumps(said["warnings"]) and "Passing `warnings`" not in done.stdout
