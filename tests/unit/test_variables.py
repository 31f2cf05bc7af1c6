# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables of the roles that are misspelt, of the wrong type, or none of the choices."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible.errors import AnsibleUndefinedVariable
from ansible_collections.dbops.alembic.plugins.plugin_utils._variables import (
    LEAST,
    OF_JOBS,
    RESULTS,
    ROLES,
    known_options,
    refusals,
)

KNOWN = known_options()


def test_every_default_of_every_role_can_be_used_and_as_the_text_of_a_command_line() -> None:
    given = {name: option["default"] for name, option in KNOWN.items() if option.get("default") is not None}
    typed = {name: str(value).lower() for name, value in given.items() if isinstance(value, (bool, int, float))}
    assert len(given) > 100 and len(typed) > 30
    templates = {name for name, value in given.items() if isinstance(value, str) and "{{" in value}
    plain = {name: value for name, value in given.items() if name not in templates}
    assert refusals({"a": plain, "b": {**plain, **typed}}, KNOWN) == []


def test_a_dictionary_as_a_text_is_refused() -> None:
    for name in ("schema_environment", "release_links"):
        (said,) = refusals({"a": {name: "A=b"}}, KNOWN)
        assert said.startswith(f"{name}: it is a text, and has to be a dictionary") and "JSON" in said


def test_a_url_that_is_made_of_what_is_not_there_says_so() -> None:
    """Read by the roles it is empty, which is not what its author has to look for."""

    class Templated(dict):  # type: ignore[type-arg]
        def get(self, name: str, default: Any = None) -> Any:
            if name == "schema_database_url":
                raise AnsibleUndefinedVariable(f"'{self['lacks']}' is undefined")
            return super().get(name, default)

    (said,) = refusals({"a": Templated(lacks="vault_password"), "b": Templated(lacks="other")}, KNOWN)
    assert "schema_database_url can not be made, since there is no variable vault_password." in said
    assert refusals({"a": Templated(lacks="hostvars")}, KNOWN) == []


def test_two_hosts_that_are_one_workload_are_refused() -> None:
    """The second would have the first one's name by default, and the workload that was meant would run on."""
    web = {"application_name": "shop", "application_manager": "kubernetes", "group_names": ["application"]}
    (said,) = refusals({"web": web, "worker": web, "db": {**web, "group_names": ["migrator"]}}, KNOWN)
    assert "web, worker are one workload, the deployment shop in the namespace shop." in said
    assert "application_kubernetes_name" in said
    for other in ({"name": "worker"}, {"kind": "statefulset"}, {"namespace": "blue"}, {"context": "west"}, {"kubeconfig": "/west"}):
        worker = {**web, **{f"application_kubernetes_{key}": value for key, value in other.items()}}
        assert refusals({"web": web, "worker": worker}, KNOWN) == [], other
    host = {**web, "application_manager": "systemd"}
    assert refusals({"app1": host, "app2": host}, KNOWN) == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("schema_databse_url", "schema_database_url"),
        ("release_git_ref", "release_git_reference"),
        ("backup_keep_count", "backup_archive_keep_count"),
        ("health_retrys", "health_retries"),
        ("application_service", "application_services"),
        ("deployment_rehersal_enabled", "deployment_rehearsal_enabled"),
        ("deployment_batch_size", "deployment_rolling_batch"),
        ("deployment_batches", "deployment_rolling_batch"),
        ("schema_url", "schema_database_url"),
        ("backup_keep", "backup_archive_keep_days"),
        ("traffic_qqqqqqq", None),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(name: str, meant: str | None) -> None:
    (said,) = refusals({"a": {name: 1}}, KNOWN)
    assert said.startswith(f"{name} is no variable of these roles.") and "deployment_own_variables" in said
    assert (f"Did you mean {meant}?" in said) if meant else "Did you mean" not in said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("health_retries", "many", "health_retries is 'many', and has to be a whole number, from 0 on."),
        ("schema_lock_timeout_seconds", "5s", "schema_lock_timeout_seconds is '5s', and has to be a number, from 0 on."),
        ("health_retries", [1, 2], "health_retries is [1, 2], and has to be a whole number, from 0 on."),
        ("application_services", "shop", "application_services: it is a text, and has to be a list. On the command line"),
        ("schema_sessions_users", "a,b", "schema_sessions_users: it is a text, and has to be a list."),
        ("deployment_rehearsal_enabled", "maybe", "deployment_rehearsal_enabled: argument"),
        ("application_manager", "upstart", "application_manager: value of application_manager must be one of"),
        ("application_services", {"a": 1}, "application_services: "),
        ("deployment_hooks", "before", "deployment_hooks: "),
        ("backup_archive_keep_days", -1, "backup_archive_keep_days is -1, and less than 0 means nothing"),
        ("health_delay_seconds", "-0.5", "health_delay_seconds is -0.5"),
        ("deployment_rows_given_up", "-2", "deployment_rows_given_up is -2, and less than -1 means nothing"),
        (
            "health_timeout_seconds",
            0,
            "health_timeout_seconds is 0, and less than 1 means nothing here. Set it to a number from 1 on",
        ),
        ("application_stop_timeout_seconds", "0", "application_stop_timeout_seconds is 0, and less than 1 means nothing"),
        ("health_retries", "", "health_retries is empty, which would be 0. Leave it out to have 30"),
        ("health_delay_seconds", None, "health_delay_seconds is empty, which would be 0."),
        ("deployment_recover_direction", "", "deployment_recover_direction is empty. Leave it out to have auto"),
        ("schema_runner", None, "schema_runner is empty. Leave it out to have host, or set it to one of: host,"),
        (
            "deployment_rolling_batch",
            "half",
            "deployment_rolling_batch: 'half' is no size of a batch. Give a number of hosts such as 2",
        ),
        ("rolling_batch", [1, "0%"], "rolling_batch: '0%' is no size of a batch."),
        ("rolling_batch", 0, "rolling_batch: 0 is no size of a batch."),
        ("fleet_batches", ["1", "many"], "fleet_batches: 'many' is neither a number nor a percentage"),
        ("fleet_max_failures", "120%", "fleet_max_failures: '120%' is neither a number nor a percentage of 100% at most. Give"),
        ("deployment_rolling_override", {"abc": " "}, "deployment_rolling_override gives no reason for abc. Write yours"),
        (
            "release_kubernetes_workload",
            {"nmae": "web"},
            "release_kubernetes_workload has the key nmae, and says where a workload is by c",
        ),
        ("health_status", [], "health_status: it is empty, so no answer would be right. Leave it out to have 200"),
        (
            "release_kubernetes_needs",
            ["workload", "jobs"],
            "release_kubernetes_needs: value of release_kubernetes_needs must be one or",
        ),
        (
            "deployment_rehearsal_enabled",
            "",
            "deployment_rehearsal_enabled is empty, which would be false. Leave it out to have True",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_refused(name: str, value: Any, said: str) -> None:
    (found,) = refusals({"a": {name: value}}, KNOWN)
    assert found.startswith(said)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("deployment_rolling_batch", "50 %"),
        ("deployment_rolling_batch", "{{ later }}"),
        ("rolling_batch", [1, "25%"]),
        ("fleet_batches", ["1", "10 %", 5]),
        ("fleet_max_failures", 0),
        ("deployment_rolling_override", {"abc": "nobody reads it"}),
        ("health_status", [200, "204"]),
    ],
)
def test_a_value_that_fits_is_left_alone(name: str, value: Any) -> None:
    assert refusals({"a": {name: value}}, KNOWN) == []


@pytest.mark.parametrize("name", OF_JOBS)
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"secert": "x"}, " has the key secert, which no Job has. Did you mean secret?"),
        ({"qqq": "x"}, " has the key qqq, which no Job has."),
        ({"user": "www-data"}, ".user is 'www-data', and has to be a whole number, from 0 on."),
        ({"deadline": "soon"}, ".deadline is 'soon', and has to be a number"),
        ({"deadline": 0}, ".deadline is 0, so that no Job could ever do its work."),
        ({"patience": "0"}, ".patience is 0, so that"),
        ({"patience": -1}, ".patience is -1"),
        ({"keep_count": ""}, ".keep_count is empty, which would be 0. Leave it out to have 5"),
        ({"image_pull_policy": "Sometimes"}, ".image_pull_policy: value of image_pull_policy must be one of"),
        ({"labels": ["a"]}, ".labels: "),
        ({"secret": "Shop_database"}, ".secret holds 'Shop_database'. It is the name of an object of Kubernetes"),
        ({"service_account": "shop:deployer"}, ".service_account holds 'shop:deployer'."),
        ({"namespace": "shop.jobs"}, ".namespace holds 'shop.jobs'. It is the name of a namespace"),
        ({"resources": {"limits": {"memory": "1 GB"}}}, ".resources.limits.memory is '1 GB'. Write it as Kubernetes does"),
        ({"resources": {"requests": {"cpu": "half"}}}, ".resources.requests.cpu is 'half'."),
        ({"resources": {"limit": {"cpu": 1}}}, ".resources has the key limit, and holds limits and requests."),
        ({"image": "shop 1.0"}, ".image holds 'shop 1.0'. It is the name of an image"),
    ],
)
def test_a_key_that_no_job_has_and_one_that_does_not_fit_are_refused(name: str, value: Any, said: str) -> None:
    (found,) = refusals({"a": {name: value}}, KNOWN)
    assert found.startswith(name + said), found


def test_what_a_job_has_is_left_alone() -> None:
    fits = {
        "secret": "s",
        "image": "{{ release_status.image }}",
        "user": "10001",
        "resources": {"limits": {"cpu": 2, "memory": "1.5Gi", "n": "1e3"}, "requests": {"cpu": "500m", "memory": "{{ memory }}"}},
        "image_pull_secrets": "a,b",
    }
    assert (
        refusals({"a": {"schema_kubernetes": {**fits, "deadline": 60, "service_account": ""}, "backup_kubernetes": {}}}, KNOWN)
        == []
    )


def test_minus_one_is_any_number_where_the_documentation_says_so() -> None:
    told = {name for name, option in KNOWN.items() if "V(-1)" in "".join(option["description"])}
    assert {name for name, least in LEAST.items() if least == -1} == told
    assert refusals({"a": dict.fromkeys(told, -1)}, KNOWN) == []


def test_what_is_the_users_own_is_left_alone() -> None:
    given = {"application_port": 80, "backup_window": "2", "shop_port": 1, "_release_x": 1, "releases": 3}
    assert len(refusals({"a": given}, KNOWN)) == 2
    assert refusals({"a": {**given, "deployment_own_variables": ["application_port", "backup_*"]}}, KNOWN) == []


def test_what_the_roles_set_themselves_is_known() -> None:
    """Every fact and registered result whose name begins as a variable of the roles does."""
    begin = r"((?:application|backup|deployment|fleet|health|release|schema|traffic)_\w+)"
    found: set[str] = set()
    for path in ROLES.glob("*/tasks/*.yml"):
        text = path.read_text()
        found |= set(re.findall(rf"register: {begin}", text))
        for facts in re.findall(r"ansible\.builtin\.set_fact:\n((?: {4,}.*\n)+)", text):
            found |= set(re.findall(rf"^ +{begin}:", facts, re.MULTILINE))
    assert found - set(KNOWN) == set(RESULTS)


def test_hosts_are_named_where_not_all_have_it() -> None:
    wrong, right = {"health_retrys": 3}, {"health_retries": 3}
    assert refusals({"a": wrong, "b": right, "c": wrong}, KNOWN)[0].endswith("(a, c)")
    assert not refusals({"a": wrong, "b": wrong}, KNOWN)[0].endswith(")")


class Lazy(dict[str, Any]):
    """Variables that are templates: reading one may fail, or show a secret."""

    def __getitem__(self, name: str) -> Any:
        if name == "schema_database_url":
            raise AssertionError("a text is read that nothing is asked of")
        raise AnsibleUndefinedVariable("release_status is undefined")


def test_no_secret_is_read_and_what_is_known_later_is_no_problem() -> None:
    assert refusals({"a": Lazy(schema_database_url="", health_retries="{{ later }}")}, KNOWN) == []
