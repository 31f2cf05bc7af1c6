# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar of names: what each kind takes and leaves, and what is said of what it leaves."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.dbops.alembic.plugins.filter.refused_names import URLS, refused_names
from ansible_collections.dbops.alembic.plugins.module_utils._core import names
from hypothesis import given, settings
from hypothesis import strategies as st

from support import sources

ROOT = Path(__file__).resolve().parents[2]
#: What a forgotten, mistaken or hostile variable holds; none of it is a name of anything.
HOSTILE = (
    "",
    " ",
    "\t",
    "\n",
    ".",
    "..",
    "/",
    "//",
    "../x",
    "../../x",
    "a/../b",
    "/etc",
    "-x",
    "--upload-pack=touch /tmp/x",
    "1.0\n",
    "1.0\n2.0",
    "1.0\x00",
    "1.0\x1b[2J",
    "1" * 300,
    "\u2024\u2024",
    "\uff0e\uff0e\u2215x",
    "1.0\u202e",
    "1.0\u200b",
    "None",
    "null",
    "undefined",
    "{{ x }}",
    "{% raw %}",
    "__omit_place_holder__0123",
    "~",
    "$HOME",
    "*",
    None,
    True,
    1.1,
    [],
    {},
)
TAKEN = {
    "address": ("http://127.0.0.1:8000/health", "https://[::1]/up?full=1", "http://localhost/health"),
    "release": (
        "1",
        "1.4.0",
        "v2",
        "2.0.0-rc.1+build.5",
        "1!2.0",
        "1.0~rc1",
        "git-1.1",
        "feature_x",
        "20260301T220000Z",
        7,
        "a" * 128,
    ),
    "workload_release": ("1.2", "sha256:" + "0a" * 32),
    "application": ("shop", "shop-web", "shop_2", "shop.example.com"),
    "reference": ("main", "v1.0", "feature/größe", "refs/tags/1.0", "0123abc", "HEAD"),
    "repository": ("/srv/git/shop.git", "git@host:shop.git", "https://user:token@host/shop.git", "file:///x"),
    "service": ("shop", "shop@1.service", "shop@*", "shop-web@*.service", "shop:*", "shop:shop_00", "dev-disk-by\\x2dlabel.mount"),
    "group": ("application", "web-servers", "eu_1"),
    "backup": ("shop__snapshot_20260301t220000z", "Bücher", "20260301T220000Z-2.4.0", "my data"),
    "restorable": ("/var/backups/shop/shop-20260301T220000Z.pgc", "shop__snapshot_20260301t220000z"),
    "record": ("20260301T220000Z-2.4.0",),
    "archive": ("shop-20260301T220000Z.pgc", "shop-1.dir"),
    "partial": (".dbops-partial-shop-1.pgc",),
    "inner": (".env", "venv", "my data"),
    "mark": (".dbops-release.json", ".dbops-releases"),
    "temporary": ("dbops-release.a1b2c3_x", "dbops.abcdef"),
    "inside": ("venv", ".env", "media/uploads", "..a"),
    "folder": ("/srv/shop", "/srv/shop/", "/backups", "/var/lib/dbops/shop", "/mnt/my data"),
    "file": ("/var/lib/dbops/shop/shop.html",),
    "wheel": ("dist/shop-1.0-py3-none-any.whl", "/x/shop-1.0-py3-none-any.whl"),
    "source": ("dist/shop.tar.gz", "/x/shop-1.0.zip"),
    "namespace": ("shop", "7", "team-a-shop", "a" * 63),
    "object": ("web", "shop-archives", "shop.v2", "0", "a" * 253),
    "image": ("shop", "registry.example/team/shop:1.2", "shop@sha256:" + "0" * 64, "r:5000/a/b/c"),
    "release_image": (
        "shop:1.2",
        "shop@sha256:" + "0" * 64,
        "R.example.com:5000/shop:1@sha256:" + "0" * 64,
        "[::1]:5000/team/shop_web--x.y:V1.0_rc",
    ),
}
#: What one kind leaves and others may take.
LEFT = {
    "address": ("localhost:8000", "/health", "ftp://127.0.0.1/", "http://", "http://a b/"),
    "release": ("a/b", "a b", ".hidden", "_x", "sha256:" + "0a" * 32, "1.0%2f"),
    "workload_release": ("sha256:xyz", "a:b"),
    "application": ("shop:8080", "shop/x", "a+b"),
    "reference": (
        "a..b",
        "a//b",
        ".a",
        "a/.b",
        "x.lock",
        "x.lock/y",
        "x/",
        "x.",
        "@{u}",
        "a b",
        "HEAD~1",
        "v1^{}",
        "a:b",
        "a?",
        "a[b",
        "a\\b",
    ),
    "repository": ("a b", "-x"),
    "service": ("shop*", "*", "@*", "shop@1*", "shop@**", "shop@*x", "shop@*.", "a b", "shop:*x", "a/b"),
    "group": ("a:b", "a,b", "!a", "&a"),
    "backup": ("a/b", ".partial-x", "-x", "a\\b"),
    "record": ("a/b", "a:b", ".lock"),
    "archive": ("a/b", ".partial-x", "a\\b"),
    "partial": (".dbops-partial-", ".partial-x", "x", ".dbops-partial-a/b"),
    "inner": ("a/b",),
    "mark": ("dbops-release.json", ".dbops-/x", ".other"),
    "temporary": ("dbops-release.", "dbops", "other.abcdef", "dbops.abc/../d"),
    "inside": ("/x", "a//b", "a/", "a/.", "./a"),
    "folder": ("/", "//", "//srv", "srv/shop", "~/shop", "/srv/..", "/srv/./x", "/srv/../etc", "/etc", "/var/", "/home"),
    "file": ("/", "/x/", "x", "/a/../b"),
    "wheel": ("x.tar.gz", "a/", "a/..whl", "../.whl"),
    "source": ("a/", "/"),
    "namespace": ("Shop", "shop_2", "shop.eu", "-shop", "shop-", "a" * 64, "a/b"),
    "object": ("Web", "web_1", "deployment/web", "web-", ".web", "a" * 254),
    "image": (":1", "a b", "shop:", "r/Shop:1", "https://r/shop:1", "shop:1:2", "shop@sha256:0", "r//shop:1", "shop-:1", "/shop:1"),
    "release_image": ("shop", "r:5000/shop", ":1", "shop:", "r/Shop:1", "https://r/shop:1", "shop:1:2", "shop@sha256:0"),
}


def test_every_kind_has_cases() -> None:
    assert set(names.KINDS) == set(TAKEN) >= set(LEFT)


@pytest.mark.parametrize("kind", sorted(TAKEN))
def test_what_is_taken(kind: str) -> None:
    assert [value for value in TAKEN[kind] if names.refusal("x", kind, value)] == []


@pytest.mark.parametrize("kind", sorted(LEFT))
def test_what_is_left(kind: str) -> None:
    assert [value for value in LEFT[kind] if not names.refusal("x", kind, value)] == []


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: names.shown(value))
@pytest.mark.parametrize("kind", ["release", "workload_release", "application", "record"])
def test_no_hostile_value_becomes_a_part_of_a_path(kind: str, value: Any) -> None:
    told = names.refusal("release_version", kind, value)
    assert told and told.startswith("release_version ") and told.isprintable() and len(told) < 600


@settings(derandomize=True, max_examples=200)
@given(st.text() | st.text(alphabet=string.printable) | st.text(alphabet="./-a1\n~{} "))
def test_what_is_taken_is_one_plain_part_of_a_path(text: str) -> None:
    for kind in ("release", "application", "record"):
        if names.KINDS[kind].fits(text):
            assert text.isascii() and text not in ("", ".", "..") and not set(text) & set("/\\\0\n {}'\"$*?") and text[0].isalnum()


SAID = [
    ("", "release_version is empty."),
    (None, "release_version is empty."),
    (" ", "release_version holds nothing but blanks (' ')."),
    ("None", "release_version holds 'None', which is what an empty variable becomes."),
    ("{{ x }}", "release_version holds '{{ x }}', a template that nothing has filled in."),
    ("__omit_place_holder__0", "release_version was omitted."),
    (
        1.1,
        "release_version is the number 1.1, and a version such as 1.10 is another one as a number: write it in quotes (with"
        " jinja2_native, before ansible-core 2.19, those are not enough).",
    ),
    ("1\u2024\x1b", "release_version holds '1\\u2024\\x1b'."),
    ("x/" * 200, "release_version holds '" + "x/" * 30 + "'… (400 characters)."),
    ([1], "release_version holds a list."),
]


@pytest.mark.parametrize(("value", "said"), SAID)
def test_the_message_says_what_the_variable_holds(value: Any, said: str) -> None:
    told = names.refusal("release_version", "release", value)
    assert told and told.startswith(said) and "may hold letters, digits" in told and "-e release_version=1.4.0" in told


def test_no_message_shows_the_password_of_a_url() -> None:
    told = names.refusal("release_git_repository", "repository", "https://me:s3cret@host/a b")
    assert told and "s3cret" not in told and "***@host" in told


def variables(**given: Any) -> dict[str, Any]:
    source = {"release_source": "archive", "release_archive": "dist/shop.tar.gz"}
    return {"application_name": "shop", **source, "release_version": "1.0", "release_root": "/srv/shop", **given}


GIT = {"release_source": "git", "release_archive": "", "release_git_repository": "/srv/git/shop.git"}
RECORDS = ("deployment_record_namespace", "deployment_record_configmap")
DRAINED = {"traffic_drain_tasks": __file__, "traffic_undrain_tasks": "/nowhere/back.yml"}
RECORDED = {"deployment_record_directory": "/var/lib/dbops/shop/"}
SQLITE = {"schema_database_url": "sqlite:////srv/shop.sqlite", "backup_database_url": "sqlite:////srv/shop.sqlite"}
CLAIM = {
    "backup_kubernetes_claim": "archives",
    "backup_archive_format": "custom",
    "schema_database_url": "postgresql://db/shop",
    "backup_database_url": "postgresql://db/shop",
}
REFUSED: list[tuple[dict[str, Any], bool, list[str]]] = [
    ({}, True, []),
    ({"release_version": ""}, True, ["release_version"]),
    ({"release_version": ""}, False, []),
    ({"release_version": ".."}, False, ["release_version"]),
    ({"release_version": ["1.0"]}, False, ["release_version"]),
    ({"release_version": {"a": 1}}, False, ["release_version"]),
    ({"release_version": "", "release_source": "none", "release_root": "", "release_archive": ""}, True, []),
    ({"release_version": "..", "release_source": "none"}, True, ["release_version"]),
    ({"release_archive": ""}, True, ["release_archive"]),
    ({"release_archive": ""}, False, []),
    ({"release_root": "/"}, False, ["release_root"]),
    ({"release_root": ""}, False, ["release_root"]),
    ({"release_root": "/", "release_source": "image", "release_image": "shop:1"}, True, []),
    ({"release_source": "image", "release_image": "shop@sha256:" + "0" * 64, "release_version": "sha256:" + "0" * 64}, True, []),
    ({"release_source": "image", "release_image": ""}, True, ["release_image"]),
    ({"release_source": "image", "release_image": "registry.example.com:5000/shop"}, True, ["release_image"]),
    # A backup has no version, and what is called after it is half a name.
    ({"release_source": "image", "release_image": "shop:", "release_version": ""}, False, []),
    ({"release_source": "image", "release_image": "shop:", "release_version": ""}, True, ["release_version", "release_image"]),
    ({"release_source": "wheel", "release_wheel": "dist/..whl", "release_archive": "", "release_version": ""}, False, []),
    ({"release_source": "image", "release_image": "shop:", "release_version": "1.0"}, False, ["release_image"]),
    ({"release_source": "manifest", "release_manifest": {}}, True, ["release_manifest"]),
    ({"release_source": "manifest", "release_manifest": [{"kind": "Deployment"}]}, True, ["release_manifest"]),
    ({"release_source": "manifest", "release_manifest": {"kind": "Deployment"}}, True, []),
    ({"release_source": "manifest", "release_manifest": {}}, False, []),
    ({"release_source": "image", "release_image": "shop:1", "release_manifest": {}}, True, []),
    ({"application_name": ""}, False, ["application_name"]),
    ({"application_name": "../x"}, False, ["application_name"]),
    ({**GIT, "release_git_reference": "1.0"}, True, []),
    ({**GIT, "release_git_reference": "-x"}, True, ["release_git_reference"]),
    ({**GIT, "release_git_reference": ""}, True, ["release_git_reference"]),
    ({**GIT, "release_git_reference": "-x", "release_source": "archive", "release_archive": "x"}, True, []),
    # What others take from the version by default is told once.
    ({**GIT, "release_version": "-x", "release_git_reference": "-x", "release_activate_version": "-x"}, True, ["release_version"]),
    ({"release_protected": ["1.0", "", "../x"]}, False, ["release_protected"]),
    ({"release_links": {"venv": "/x", "../x": "/y"}}, False, ["release_links"]),
    ({"release_links": {".dbops-release.json": "/y"}}, False, ["release_links"]),
    ({"application_services": ["shop", "all"]}, False, ["application_services"]),
    ({"application_services": ["shop*"]}, False, ["application_services"]),
    ({"application_services": None}, False, ["application_services"]),
    ({"application_services": ""}, False, ["application_services"]),
    ({"application_services": ["shop", ""]}, False, ["application_services"]),
    ({"application_services": []}, False, []),
    ({"release_links": {"venv": ""}}, False, ["release_links"]),
    ({"traffic_method": "haproxy", "traffic_haproxy_hosts": []}, False, ["traffic_haproxy_hosts"]),
    ({"traffic_method": "haproxy", "traffic_haproxy_hosts": ["lb1"]}, False, []),
    ({"traffic_method": "none", "traffic_haproxy_hosts": []}, False, []),
    ({"traffic_method": "none", **DRAINED}, False, []),
    ({"traffic_method": "tasks", **DRAINED}, False, ["traffic_undrain_tasks"]),
    ({"traffic_method": "tasks"}, False, ["traffic_drain_tasks", "traffic_undrain_tasks"]),
    (
        {"traffic_method": "tasks", **DRAINED, "traffic_undrain_tasks": "back.yml", "playbook_dir": "/"},
        False,
        ["traffic_undrain_tasks"],
    ),
    ({"traffic_method": "tasks", "traffic_drain_tasks": __file__, "traffic_undrain_tasks": __file__}, False, []),
    ({"schema_runner": "kubernetes_job", **SQLITE}, False, ["schema_runner"]),
    ({"schema_runner": "init_container", **SQLITE}, False, ["schema_runner"]),
    ({"schema_runner": "host", **SQLITE}, False, []),
    ({"schema_runner": "kubernetes_job", **CLAIM}, False, []),
    ({"schema_runner": "kubernetes_job", **CLAIM, "schema_environment": {"API_TOKEN": "a@b"}}, False, ["schema_environment"]),
    ({"schema_runner": "kubernetes_job", **CLAIM, "schema_environment": {"REGION": "west"}}, False, []),
    ({"schema_runner": "host", **CLAIM, "schema_environment": {"API_TOKEN": "a@b"}}, False, []),
    ({"schema_database_url": "oracle+oracledb://shop:a%40b@db1/shop"}, False, ["schema_database_url"]),
    ({"schema_database_url": "sqlite:///:memory:"}, False, ["schema_database_url"]),
    ({"schema_database_url": "sqlite://"}, False, ["schema_database_url"]),
    ({"schema_database_url": "sqlite:///file:shop?uri=true"}, False, ["schema_database_url"]),
    ({**CLAIM, "backup_archive_format": "directory"}, False, []),
    ({**CLAIM, "backup_archive_format": "plain"}, False, ["backup_kubernetes_claim"]),
    ({**CLAIM, "backup_kubernetes_claim": "", "backup_archive_format": "plain"}, False, []),
    ({**CLAIM, "backup_database_url": "mysql+pymysql://db/shop"}, False, ["backup_kubernetes_claim"]),
    ({**CLAIM, **SQLITE}, False, ["backup_kubernetes_claim"]),
    ({"application_kubernetes_namespace": "", "application_kubernetes_name": "web"}, False, ["application_kubernetes_namespace"]),
    (
        {"application_kubernetes_namespace": "shop", "application_kubernetes_name": "deploy/web"},
        False,
        ["application_kubernetes_name"],
    ),
    ({"application_kubernetes_namespace": "shop", "application_kubernetes_name": "web"}, False, []),
    ({"deployment_record_namespace": "Ops", "deployment_record_configmap": ""}, False, [*RECORDS]),
    ({"backup_kubernetes_claim": ""}, False, []),
    ({"backup_kubernetes_claim": "Shop archives"}, False, ["backup_kubernetes_claim"]),
    ({"health_url": ""}, False, []),
    ({"health_url": "https://user:secret@127.0.0.1:8000/health?a=b"}, False, []),
    ({"health_url": "localhost:8000/health"}, False, ["health_url"]),
    ({"health_url": "http://{{ ip }}/"}, False, ["health_url"]),
    ({"health_url": "http://127.0.0.1:80000/health"}, False, ["health_url"]),
    ({"health_url": "http://:8000/health"}, False, ["health_url"]),
    ({"health_url": "http://[::1]:65535/a:99999/@b"}, False, []),
    ({"health_url": "https://shop.example.com?a=b"}, False, []),
    ({"deployment_hooks": {}}, False, []),
    ({"deployment_hooks": {"before_stop": __file__, "after_failure": "hooks/mail.yml"}}, False, []),
    ({"deployment_hooks": {"before_stop": "/nowhere/stop.yml"}}, False, ["deployment_hooks"]),
    ({"deployment_hooks": {"before_stop": "", "before_lunch": "x.yml"}}, False, ["deployment_hooks", "deployment_hooks"]),
    ({"deployment_hooks": {"before_stop": ["x.yml"]}}, False, ["deployment_hooks"]),
    ({"schema_database_url": "", "backup_database_url": ""}, False, ["schema_database_url"]),
    ({"schema_database_url": None}, False, ["schema_database_url"]),
    ({"schema_database_url": ["postgresql:///shop"]}, False, ["schema_database_url"]),
    (
        {"schema_database_url": "postgresql://shop:a@b@db1/shop", "backup_database_url": "postgresql://x:y@db1/shop"},
        False,
        ["schema_database_url"],
    ),
    ({"schema_database_url": "jdbc:postgresql://db1/shop"}, False, ["schema_database_url"]),
    ({"schema_database_url": "postgresql:///?service=shop"}, False, ["schema_database_url"]),
    ({"schema_database_url": "postgresql:///shop", "backup_database_url": "shop"}, False, ["backup_database_url"]),
    ({"deployment_restore_from": ""}, False, []),
    ({**RECORDED, "deployment_report_result_path": "/var/lib/dbops/shop/r.json"}, False, ["deployment_report_result_path"]),
    ({**RECORDED, "deployment_report_path": "/var/lib/dbops/shop/r.json"}, False, ["deployment_report_path"]),
    ({**RECORDED, "deployment_report_result_path": "/var/lib/dbops/shop/shop.result.json"}, False, []),
    ({**RECORDED, "deployment_report_result_path": "/var/lib/dbops/r.json", "deployment_report_junit_path": ""}, False, []),
    ({"deployment_restore_from": "a\nb"}, False, ["deployment_restore_from"]),
    ({"deployment_application_group": ""}, False, ["deployment_application_group"]),
    ({"backup_archive_name": "../x"}, False, ["backup_archive_name"]),
    ({"another_variable": "../x"}, True, []),
]


@pytest.mark.parametrize(("given_", "needed", "refused"), REFUSED)
def test_which_variables_are_refused(given_: dict[str, Any], needed: bool, refused: list[str]) -> None:
    told = refused_names(variables(**given_), building=needed)
    assert [text.split()[0] for text in told] == refused
    assert "a@b" not in str(told) and "Ansible" not in str(told)


@pytest.mark.parametrize(
    ("path", "more", "refused"),
    [
        ("shop.db", {}, True),
        ("./data/../shop.db", {}, True),
        ("../shop.db", {}, False),
        ("shop.db", {"schema_chdir": "api"}, True),
        ("../shop.db", {"schema_chdir": "api"}, True),
        ("../../shop.db", {"schema_chdir": "api"}, False),
        ("shop.db", {"schema_chdir": "/srv/data"}, False),
        ("shop.db", {"schema_chdir": "/srv/shop/current"}, True),
        ("/srv/shop/current/shop.db", {}, True),
        ("/srv/shop/releases/1.0/shop.db", {}, True),
        ("/srv/shop/releases/shop.db", {}, False),
        ("/srv/shop/shared/shop.db", {}, False),
        ("data/shop.db", {"release_links": {"data": "/srv/shop/data"}}, False),
        ("shop.db", {"release_links": {"shop.db": "/srv/shop.db"}}, False),
        ("database/shop.db", {"release_links": {"data": "/srv/shop/data"}}, True),
        ("shop.db", {"release_source": "none"}, False),
        ("shop.db", {"release_source": "image"}, False),
    ],
)
def test_a_database_in_the_folder_of_a_release_is_refused(path: str, more: dict[str, Any], refused: bool) -> None:
    databases = {"schema_database_url": f"sqlite:///{path}", "another": "postgresql://db/shop"}
    given = {"release_source": "archive", "release_root": "/srv/shop", "release_databases": databases, **more}
    told = refused_names(given, building=True)
    assert bool(told) == refused and refused_names(given) == []
    assert not told or "release_links" in told[0]


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("/srv/shop/current/backups", True),
        ("/srv/shop/releases/1.0/b", True),
        ("/srv/shop/backups", False),
        ("/var/backups", False),
        ("", False),
    ],
)
def test_archives_in_the_folder_of_a_release_are_refused(path: str, refused: bool) -> None:
    given = {"release_source": "git", "release_root": "/srv/shop", "release_folders": {"backup_archive_directory": path}}
    told = refused_names(given, building=True)
    assert [text.split()[0] for text in told] == ["backup_archive_directory"] * refused


def test_a_file_of_hooks_that_is_not_where_the_playbook_is_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    for place in ("stop.yml", "tasks/start.yml"):
        (tmp_path / place).touch()
    hooks = {"before_stop": "stop.yml", "before_start": "start.yml", "after_start": str(tmp_path / "stop.yml")}
    beside = {"playbook_dir": str(tmp_path)}
    assert refused_names(variables(deployment_hooks=hooks, **beside)) == []
    (told,) = refused_names(variables(deployment_hooks={"before_stop": "hooks/stop.yml"}, **beside))
    assert f"names hooks/stop.yml for before_stop, and there is no such file in {tmp_path}" in told
    assert "{{ inventory_dir }}/hooks/stop.yml" in told


def test_every_playbook_begins_with_the_names() -> None:
    """One that uses no role but to look at its tags has none of their variables."""
    with_roles = [path for path in sorted((ROOT / "playbooks").glob("*.yml")) if "tasks_from: tags" not in path.read_text()]
    assert len(with_roles) >= 9
    for path in with_roles:
        first = yaml.safe_load(path.read_text())[0]
        assert first["import_playbook"] == "parts/names.yml", path
        builds = "deployment_step: ready" in path.read_text() or "prepare" in path.read_text() or "scratch" in path.read_text()
        assert (first.get("vars") or {}).get("deployment_build_enabled", False) is builds, path


def test_every_playbook_that_stops_hosts_asks_them_before() -> None:
    """What is built needs more, what brings back does what it can, and a plan only says what a deployment would refuse."""
    found = {}
    for path in sorted((ROOT / "playbooks").glob("*.yml")):
        plays = yaml.safe_load(path.read_text())
        if path.stem == "plan" or any(play.get("import_playbook") in ("parts/window.yml", "parts/rolling.yml") for play in plays):
            assert plays[1]["import_playbook"] == "parts/hosts.yml", path
            builds = [(play.get("vars") or {}).get("deployment_build_enabled", False) for play in plays[:2]]
            assert builds[0] == builds[1], path
            found[path.stem] = (plays[1].get("vars") or {}).get("deployment_needs_binding_enabled", True)
    binding = {"maintenance_window": True, "rolling": True, "rollback": True, "restore": True}
    assert found == {**binding, "recover": False, "plan": False}


def test_every_variable_that_a_role_hands_over_has_a_grammar() -> None:
    for role in ("release", "application", "backup", "deployment"):
        handed = sources.variables(role)[f"_{role}_names"]
        with_rules = {
            "release_source",
            "release_links",
            "deployment_hooks",
            "playbook_dir",
            "traffic_method",
            "traffic_haproxy_hosts",
            *names.TRAFFIC_TASKS,
            "release_manifest",
            "schema_runner",
            "schema_environment",
            "backup_archive_format",
            *URLS,
        }
        assert set(handed) - with_rules <= set(names.VARIABLES), role
