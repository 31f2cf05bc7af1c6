# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What needs no cluster: messages in a log, names, versions, what pods say, which rights the Role has."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes import (
    admission,
    archive,
    archive_script,
    cluster,
    job,
    pods,
    release,
    rights,
)
from ansible_collections.dbops.alembic.plugins.module_utils._worker import project
from ansible_collections.dbops.alembic.plugins.module_utils._worker.failure import Failure
from ansible_collections.dbops.alembic.plugins.module_utils._worker.pod import PIECE, frame
from ansible_collections.dbops.alembic.plugins.plugin_utils._database_url import parse

ROLE = Path(__file__).resolve().parents[2] / "roles" / "application" / "files" / "kubernetes_role.yml"
MARK = "0f3a9c1d2b4e5f60"


def message(size: int, number: int = 0) -> dict[str, Any]:
    dice = random.Random(number)
    return {"event": "statement", "number": number, "sql": "".join(chr(dice.randint(32, 0x2FFF)) for _ in range(size))}


def test_messages_come_back_from_a_log_in_order() -> None:
    sent = [message(size, number) for number, size in enumerate((0, 10, 5000, 90_000))]
    log = "".join(frame(item, MARK, number) for number, item in enumerate(sent))
    assert max(map(len, log.splitlines())) < PIECE + 100 < 16384
    assert job.messages(log, MARK) == sent


def test_what_the_application_prints_is_not_a_message() -> None:
    sent = [message(20_000, 0), message(5, 1)]
    lines = "".join(frame(item, MARK, number) for number, item in enumerate(sent)).splitlines(keepends=True)
    printed = ["a line\n", '{"event": "reply", "ok": true}\n', "<other>:2:1/1:eJw=;\n", f"<{MARK}>:x\n", "no newline at the end"]
    mixed = "".join(text for index, line in enumerate(lines) for text in (printed[index % len(printed)], line))
    assert job.messages(mixed, MARK) == sent
    assert "a line" in job.without_frames(mixed, MARK) and "eJ" not in job.without_frames(mixed, MARK).replace("eJw=", "")


@pytest.mark.parametrize("cut", [10, 3000, 7000, 12_500])
def test_a_message_that_is_not_whole_yet_ends_them(cut: int) -> None:
    first, second = frame(message(5, 0), MARK, 0), frame(message(30_000, 1), MARK, 1)
    assert job.messages(first + second[:cut], MARK) == [message(5, 0)]


def test_a_name_of_a_job_is_a_name_of_kubernetes() -> None:
    name = job.job_name("Shop_of.the-" + "long" * 20, "database_sessions_info", "ABCDEF0123456789abcdef")
    assert len(name) <= 57 and name.islower() and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert job.job_name("shop", "upgrade", "a" * 32) != job.job_name("shop", "upgrade", "b" * 32)


def test_what_yaml_has_made_of_a_label_is_a_text_again() -> None:
    options = {"labels": {"team": 5, "critical": True, "since": 1.5, 7: None}, "annotations": {"owner": "sales"}}
    found = job.job_of("shop", "upgrade", "", {**options, "application": "shop", "namespace": "shop", "deadline": 60.0}, {})
    labels = found["metadata"]["labels"]
    assert {name: labels[name] for name in ("team", "critical", "since", "7")} == {
        "team": "5",
        "critical": "true",
        "since": "1.5",
        "7": "",
    }
    assert found["metadata"]["annotations"] == {"owner": "sales"}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, job.RESOURCES),
        ({"limits": {"memory": "2Gi"}}, {"requests": {"cpu": "100m"}, "limits": {"cpu": "1", "memory": "2Gi"}}),
        ({"requests": {"memory": "3Gi"}}, {"requests": {"cpu": "100m", "memory": "3Gi"}, "limits": {"cpu": "1"}}),
        ({"requests": {"cpu": "2", "memory": "3Gi"}, "limits": None}, {"requests": {"cpu": "2", "memory": "3Gi"}}),
        (
            {"limits": {"ephemeral-storage": "1Gi"}},
            {"requests": job.RESOURCES["requests"], "limits": {**job.RESOURCES["limits"], "ephemeral-storage": "1Gi"}},
        ),
    ],
)
def test_what_is_said_of_one_resource_leaves_the_default_of_another(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert job.resources(given) == wanted


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (403, 'jobs.batch is forbidden: User "deployer" cannot create resource "jobs" in API group "batch"', "right_missing"),
        (401, "Unauthorized", "cluster_unreachable"),
        (403, 'jobs.batch "shop" is forbidden: exceeded quota: few, requested: count/jobs.batch=1', "cluster_refused"),
        (403, 'admission webhook "policy" denied the request: no owner label', "cluster_refused"),
        (409, "the object has been modified", "cluster_conflict"),
    ],
)
def test_who_may_not_is_told_from_what_is_forbidden_to_all(status: int, text: str, kind: str) -> None:
    told = cluster.refusal("make the Job shop", cluster.Refused(status, text))
    assert told.kind == kind and text in told.msg and bool(told.hint) == (kind in ("right_missing", "cluster_unreachable"))


@pytest.mark.parametrize("text", ["20260301T220000Z-2.4.0", "-x-", "a" * 100, "ümlaut/..", ""])
def test_a_value_of_a_label_is_one(text: str) -> None:
    value = job.label_value(text)
    assert len(value) <= 63 and (not value or (value[0].isalnum() and value[-1].isalnum()))


def test_a_job_has_no_secret_and_ends_before_its_deadline() -> None:
    request = {"operation": "upgrade", "url": "postgresql://shop:hunter22@db/shop", "python": "/x", "environment": {"MODE": "a"}}
    found = job.job_request(request, {"deadline": 3600.0})
    assert "hunter22" not in str(found) and found["timeout"] == 3570 and found["environment"] == {"MODE": "a"}
    assert job.job_request({**request, "timeout": 60}, {"deadline": 3600.0})["timeout"] == 60
    assert job.job_request(request, {"deadline": 20.0})["timeout"] == 10
    for environment in ({"API_TOKEN": "abcdefgh"}, {"DATABASE_URL": "postgresql://a:bcdefgh@c/d"}):
        with pytest.raises(ValueError, match=next(iter(environment))):
            job.job_request({**request, "environment": environment}, {"deadline": 3600.0})


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://u:hunter22@db/shop", ""),
        ("postgresql+asyncpg://u:hunter22@other/shop?ssl=true", ""),
        ("postgres:///?dbname=shop&host=db", ""),
        ("postgresql://shop@db", ""),
        ("postgresql:///?service=shop", ""),
        ("postgresql://u:hunter22@db/staging", "names the database staging, and this is about shop."),
        ("mysql+pymysql://u:hunter22@db/staging", "names the database staging"),
        ("postgresql://staging:hunter22@db", "names the database staging"),
    ],
)
def test_a_secret_has_to_name_the_database_that_is_meant(url: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(".")
    for name in ("PGDATABASE", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    request = job.job_request({"operation": "info"}, {"deadline": 60.0, "database": "shop"})
    with pytest.raises(Failure) if told else nullcontext() as caught:
        project.enter({**request, "url": url})
    if told:
        assert caught.value.kind == "wrong_database" and told in str(caught.value) and "hunter22" not in str(caught.value)
        project.enter({**job.job_request({"operation": "info"}, {"deadline": 60.0}), "url": url})


SECRET = {"secretKeyRef": {"name": "shop-database", "key": "url", "optional": True}}
OTHER = {"secretKeyRef": {"name": "shop-other", "key": "url", "optional": True}}
REQUIRED = {"secretKeyRef": {"name": "shop-database", "key": "url"}}


@pytest.mark.parametrize(
    ("container", "wanted"),
    [
        ({}, []),
        ({"env": [{"name": "OTHER", "valueFrom": SECRET}]}, []),
        (
            {"env": [{"name": "DATABASE_URL", "valueFrom": OTHER}, {"name": "DATABASE_URL", "valueFrom": SECRET}]},
            [{"valueFrom": SECRET}],
        ),
        ({"env": [{"name": "DATABASE_URL", "valueFrom": REQUIRED}]}, [{"valueFrom": SECRET}]),
        ({"env": [{"name": "DATABASE_URL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}, []),
        (
            {"env": [{"name": "DATABASE_URL", "value": "postgresql://u:p@ss:@db/shop?a=b"}]},
            [{"value": "postgresql://u@db/shop?a=b"}],
        ),
        ({"env": [{"name": "DATABASE_URL", "value": "postgresql://db/shop?password=hunter22"}]}, []),
        ({"env": [{"name": "DATABASE_URL", "value": "postgresql://$(USER):$(PASSWORD)@$(HOST)/shop"}]}, []),
        (
            {"envFrom": [{"secretRef": {"name": "a"}}, {"prefix": "DATABASE_", "configMapRef": {"name": "b"}}, {"prefix": "X_"}]},
            [
                {"valueFrom": {"secretKeyRef": {"name": "a", "key": "DATABASE_URL", "optional": True}}},
                {"valueFrom": {"configMapKeyRef": {"name": "b", "key": "URL", "optional": True}}},
            ],
        ),
        (
            {"envFrom": [{"secretRef": {"name": "a"}}], "env": [{"name": "DATABASE_URL", "valueFrom": SECRET}]},
            [{"valueFrom": SECRET}],
        ),
    ],
)
def test_where_a_release_takes_its_url_from(container: dict[str, Any], wanted: list[Any]) -> None:
    template = {"spec": {"containers": [{"name": "web", "image": "shop:1", **container}]}}
    workload = SimpleNamespace(label="Deployment shop in shop", namespace="shop")
    found = release.workload_url(workload, template, [], "DATABASE_URL")
    assert found == ({"workload": workload.label, "namespace": "shop", "sources": wanted} if wanted else {})
    assert release.workload_url(workload, template, [], None) == {}


def test_a_job_compares_its_url_with_those_that_pods_of_its_namespace_take_from_elsewhere() -> None:
    urls = [
        {"workload": "same", "namespace": "shop", "sources": [{"valueFrom": SECRET}]},
        {"workload": "web", "namespace": "shop", "sources": [{"valueFrom": OTHER}]},
        {"workload": "elsewhere", "namespace": "other", "sources": [{"valueFrom": OTHER}]},
    ]
    options = {"namespace": "shop", "secret": "shop-database", "secret_key": "url", "workload_urls": urls, "image": "shop:1"}
    request = job.job_request({"operation": "info"}, {**options, "deadline": 60.0})
    assert request["served"] == {"DBOPS_WORKLOAD_URL_0": "web"}
    made = job.process(["python3"], [], {**options, "resources": {}})
    assert {"name": "DBOPS_WORKLOAD_URL_0", "valueFrom": OTHER} in made["env"] and len(made["env"]) == 3


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web-1"}, "status": status}


def container(**state: Any) -> dict[str, Any]:
    return {"name": "web", "ready": False, "restartCount": 0, **state}


KILLED = container(state={"terminated": {"exitCode": 143}})
FAILED = {"type": "Failed", "status": "True"}


@pytest.mark.parametrize(
    ("conditions", "found", "reason"),
    [
        ([], pod(containerStatuses=[container(state={"running": {}})]), None),
        ([], pod(containerStatuses=[container(state={"terminated": {"reason": "OOMKilled", "exitCode": 137}})]), "OOMKilled"),
        ([], pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."), "Evicted"),
        ([{**FAILED, "reason": "DeadlineExceeded"}], None, "DeadlineExceeded"),
        ([{**FAILED, "reason": "DeadlineExceeded"}], pod(containerStatuses=[KILLED]), "DeadlineExceeded"),
        ([], pod(containerStatuses=[container(state={"terminated": {"reason": "Error", "exitCode": 1}})]), "Exited"),
        ([{**FAILED, "reason": "BackoffLimitExceeded"}], None, "PodGone"),
        ([], pod(containerStatuses=[container(state={"terminated": {"reason": "StartError", "exitCode": 128}})]), "StartError"),
    ],
)
def test_how_a_job_ended(conditions: list[Any], found: dict[str, Any] | None, reason: str | None) -> None:
    ended = job.end_of({"metadata": {}, "spec": {}, "status": {"conditions": conditions}}, found)
    assert (ended[0] if ended else None) == reason


@pytest.mark.parametrize(
    ("status", "reasons"),
    [
        (container(state={"running": {}}), []),
        (container(state={"waiting": {"reason": "ContainerCreating"}}), []),
        (container(state={"waiting": {"reason": "ErrImagePull", "message": "x"}}), ["ErrImagePull"]),
        (container(restartCount=1, state={"running": {}}, lastState={"terminated": {"exitCode": 1}}), []),
        (container(restartCount=2, state={"running": {}}, lastState={"terminated": {"exitCode": 1}}), ["CrashLoopBackOff"]),
        (container(ready=True, restartCount=5, state={"running": {}}, lastState={"terminated": {"exitCode": 1}}), []),
    ],
)
def test_what_keeps_a_container_from_serving(status: dict[str, Any], reasons: list[str]) -> None:
    assert [problem.reason for problem in pods.pod_problems(pod(containerStatuses=[status]))] == reasons


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("registry.example.com:5000/shop:1.2", "1.2"),
        ("registry.example.com:5000/shop", "latest"),
        ("shop@sha256:0123", "sha256:0123"),
        ("shop:2.0-rc1", "2.0-rc1"),
    ],
)
def test_the_version_of_an_image(image: str, version: str) -> None:
    assert release.version_of(image) == version


def test_releases_come_back_from_their_annotation_and_a_broken_one_is_told() -> None:
    releases = {"1.0": {"spec": {"containers": [{"name": "web", "image": "shop:1.0"}]}}}
    found = {"metadata": {"name": "web", "annotations": {release.RELEASES: release.packed(releases)}}}
    assert release.releases_of(found) == releases
    found["metadata"]["annotations"][release.RELEASES] = "???"
    with pytest.raises(MigrationError, match="can not be understood"):
        release.releases_of(found)


@pytest.mark.parametrize(("names", "problem"), [([], "several containers"), (["nothing"], "no container nothing")])
def test_containers_are_not_guessed(names: list[str], problem: str) -> None:
    template = {"spec": {"containers": [{"name": "web", "image": "a"}, {"name": "proxy", "image": "b"}]}}
    with pytest.raises(MigrationError, match=problem):
        release.chosen(template, names, "Deployment web")


def test_the_role_that_ships_has_every_right_that_is_asked_for_and_no_other() -> None:
    rules = yaml.safe_load(ROLE.read_text())["rules"]
    granted = {
        (verb, group, name) for rule in rules for group in rule["apiGroups"] for name in rule["resources"] for verb in rule["verbs"]
    }
    asked = {
        (verb, group, name.format(kind=kind))
        for needed in rights.RIGHTS.values()
        for verb, group, name in needed
        for kind in ("deployment", "statefulset")
    }
    assert granted == asked | {("create", "", "pods")}, "which only a dry run uses, where it is there"


@pytest.mark.parametrize(
    ("status", "said", "counts"),
    [
        (403, 'pods "web-" is forbidden: error looking up service account shop/web: serviceaccount "web" not found', True),
        (403, 'pods "web-" is forbidden: failed quota: small: must specify limits.cpu', True),
        (403, 'pods "web-" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi', True),
        (403, 'pods "web-" is forbidden: violates PodSecurity "restricted:latest"', True),
        (403, 'pods "web-" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2', False),
        (403, 'pods is forbidden: User "deployer" cannot create resource "pods" in API group "" in the namespace "shop"', False),
        (403, 'pods "web-" is forbidden: unable to validate against any pod security policy: []', False),
        (403, 'admission webhook "owners.example.com" denied the request: a pod needs an owner', False),
        (400, 'admission webhook "other.example.com" does not support dry run', False),
        (500, 'Internal error occurred: failed calling webhook "other.example.com"', False),
        (0, "", False),
    ],
)
def test_why_no_pod_would_be_made(status: int, said: str, counts: bool) -> None:
    asked: list[tuple[Any, ...]] = []

    def answer(*given: Any) -> str:
        asked.append(given)
        if status:
            raise cluster.Refused(status, said)
        return "{}"

    workload = {"metadata": {"name": "web"}, "spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}}
    template = {"metadata": {"labels": {"app": "web"}, "creationTimestamp": None}, "spec": {"containers": [{"name": "web"}]}}
    assert admission.refused_pod(cluster.Cluster(answer), "shop", workload, template) == (said if counts else "")
    ((method, path, pod, _kind, query),) = asked
    assert (method, path, query) == ("POST", "/api/v1/namespaces/shop/pods", [("dryRun", "All")])
    assert pod["metadata"] == {"labels": {"app": "web"}, "generateName": "web-"}
    assert pod["spec"] == {"containers": [{"name": "web"}], "volumes": [{"name": "data", "emptyDir": {}}]}


AWKS = [name for name in ("awk", "mawk", "gawk", "busybox") if shutil.which(name)]


URLS = [
    "postgresql://shop:pw@db/shop",
    "postgresql+psycopg://s%40p:p%27w%2F%3A%25%C3%A9@db.svc:6432/na%20me?sslmode=require&application_name=x+y&connect_timeout=3",
    "postgresql+asyncpg://u:p?a/b@h/db?ssl=true",
    "postgres://u@[::1]:5/d",
    "postgresql:///d?host=/var/run/p&user=me&password=a%26b",
    "postgresql://u:p@/d?host=a:1&host=b:2",
    "postgresql://u:p@h/d?host=a,b&port=1,2&target_session_attrs=read-write",
    "postgresql://u:p@h?dbname=x",
    "postgresql://u:a%22%24%60%5C%0Ab@h/d",
    "postgresql://u:p@DB.Example.com/d",
    "postgresql://u@/d?hostaddr=10.0.0.1",
    "postgresql:///d?service=My+shop",
    "postgresql:///d",
]


@pytest.mark.parametrize("awk", AWKS)
@pytest.mark.parametrize("url", URLS)
def test_the_shell_reads_a_url_as_the_filter_does(url: str, awk: str) -> None:
    program = f"{awk} awk" if awk == "busybox" else awk
    given = {"PATH": os.environ["PATH"], "LC_ALL": "C", "DBOPS_URL": archive_script.URL, "DBOPS_DATABASE_URL": url}
    shell = f'settings=$({program} "$DBOPS_URL") || exit 3; eval "$settings"; env -0'
    done = subprocess.run(["sh", "-c", shell], env=given, stdout=subprocess.PIPE, check=True)
    pairs = (part.partition("=") for part in done.stdout.decode().split("\0"))
    assert {name: value for name, _is, value in pairs if name.startswith("PG")} == parse(url).environment()


@pytest.mark.parametrize("url", URLS)
def test_the_shell_tells_servers_apart_as_the_filter_does(url: str, tmp_path: Path) -> None:
    given = {
        "PATH": os.environ["PATH"],
        "DBOPS_URL": archive_script.URL,
        "DBOPS_DATABASE_URL": url,
        "DBOPS_SERVERS": '"a:1"\n"b:2"',
    }
    telling = archive_script.SCRIPT[: archive_script.SCRIPT.index("connect() {")]
    shell = f"{telling}scratch={tmp_path}; address; cat $scratch/servers"
    done = subprocess.run(["sh", "-c", shell], env=given, stdout=subprocess.PIPE, text=True, check=True)
    told = [json.loads(f"{{{line}}}")["server"] for line in done.stdout.splitlines()]
    assert told == [parse(url).server, "a:1", "b:2"]


def test_the_shell_refuses_another_database() -> None:
    given = {"PATH": os.environ["PATH"], "DBOPS_DATABASE_URL": "mysql://u:p@h/d"}
    assert subprocess.run(["awk", archive_script.URL], env=given, check=False).returncode == 3


def test_what_the_shell_says_comes_back(tmp_path: Path) -> None:
    """Quotes, backslashes, lines and bytes that are no UTF-8 do not keep an answer from being read."""
    failing = archive_script.SCRIPT[: archive_script.SCRIPT.index("run() {")]
    text = b'a "b" \\c\td\ne \xff' + b"f" * 9000
    given = {b"DBOPS_MARK": MARK.encode(), b"DBOPS_PROTOCOL": b"1", b"SAID": text, b"PATH": os.environ["PATH"].encode()}
    done = subprocess.run(["sh", "-c", failing + 'fail archive_failed "$SAID"'], env=given, stdout=subprocess.PIPE, check=False)
    (reply,) = job.messages(done.stdout.decode("utf-8", "replace"), MARK)
    assert done.returncode == 1 and reply["error"]["kind"] == "archive_failed" and not reply["ok"]
    assert reply["error"]["message"].startswith('a "b" \\c d\ne \ufffdf') and "fff" in reply["error"]["message"]


@pytest.mark.parametrize(
    ("count", "seconds", "gone"),
    [(0, 0, []), (1, 0, ["c", "a", "b"]), (3, 0, ["b"]), (9, 0, []), (0, 90, ["a", "b"]), (0, 1, ["c", "a", "b"]), (3, 150, ["b"])],
)
def test_which_archives_are_too_many_or_too_old(count: int, seconds: float, gone: list[str]) -> None:
    """Four, a minute apart; the last one, d, stays however old it is."""
    archives = [{"path": f"/a/{name}", "created_at": f"2026-03-01T00:0{minute}:00Z"} for name, minute in zip("adcb", (1, 3, 2, 0))]
    now = 1772323200 + 3 * 60 + 10
    assert archive.doomed(archives, count, seconds, now) == [f"/a/{name}" for name in gone]


def migration_ended(said: str, **more: Any) -> dict[str, Any]:
    ended = {"terminated": {"exitCode": 1, "message": said}}
    return {"name": pods.MIGRATION, "ready": False, "restartCount": 0, "state": ended, **more}


REFUSED = '{"ok": false, "kind": "migration_failed", "message": "Revision 1b7e failed"}'


@pytest.mark.parametrize(
    ("status", "reasons"),
    [
        (migration_ended(REFUSED), ["MigrationFailed"]),
        (
            migration_ended("", state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState={"terminated": {"message": REFUSED}}),
            ["MigrationFailed"],
        ),
        (migration_ended('{"ok": true}'), []),
        (migration_ended("Killed"), []),
        ({**migration_ended(REFUSED), "name": "web"}, []),
    ],
)
def test_a_migration_that_failed_in_a_pod_is_known_at_once(status: dict[str, Any], reasons: list[str]) -> None:
    found = pods.pod_problems(pod(initContainerStatuses=[status]))
    assert [problem.reason for problem in found] == reasons
    assert all(problem.certain and "Revision 1b7e failed" in problem.text for problem in found)


def test_a_deadline_of_the_rollout_does_not_count_while_pods_migrate() -> None:
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    found: dict[str, Any] = {"metadata": {}, "spec": {"template": {"spec": {"containers": []}}}, "status": {"conditions": [late]}}
    assert [problem.reason for problem in pods.workload_problems(found)] == ["ProgressDeadlineExceeded"]
    found["spec"]["template"]["spec"]["initContainers"] = [{"name": pods.MIGRATION}]
    assert pods.workload_problems(found) == []


def test_a_release_is_a_template_without_what_migrates() -> None:
    plain = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "shop:1.1"}]}}
    ours = {"name": pods.MIGRATION}
    others = {"initContainers": [{"name": "wait"}], "volumes": [{"name": "cache"}]}
    for spec in (plain["spec"], {**plain["spec"], **others}):
        template = {**plain, "spec": spec}
        grown = {key: [*spec.get(key, []), ours] for key in ("initContainers", "volumes")}
        assert release.release_part({**plain, "spec": {**spec, **grown}}) == template
        assert release.release_part(template) == template
    known = {release.RELEASES: release.packed({"blue": plain})}
    running = {**plain, "spec": {**plain["spec"], "initContainers": [ours], "volumes": [ours]}}
    found = {"metadata": {"name": "web", "annotations": known}, "spec": {"template": running}}
    assert release.active(found, [], "Deployment web") == ("blue", "shop:1.1")


PROBED, BARE = ({"spec": {"containers": [{"name": "web", **more}]}} for more in ({"readinessProbe": {"httpGet": {}}}, {}))


@pytest.mark.parametrize(
    ("kind", "spec", "template", "told"),
    [
        ("Deployment", {"replicas": 3}, PROBED, ""),  # 25 % of 3, rounded down
        ("Deployment", {"replicas": 4}, PROBED, "maxUnavailable 25% lets 1 of 4 pods be missing"),
        ("Deployment", {"replicas": 4, "strategy": {"rollingUpdate": {"maxUnavailable": 0}}}, PROBED, ""),
        ("Deployment", {"replicas": 4, "strategy": {"rollingUpdate": {"maxUnavailable": 2}}}, PROBED, "lets 2 of 4"),
        ("Deployment", {"strategy": {"type": "Recreate"}}, PROBED, "Recreate"),
        ("Deployment", {"replicas": 3}, BARE, "readinessProbe"),
        ("Deployment", {"replicas": 0, "strategy": {"type": "Recreate"}}, BARE, ""),  # nobody is served now either
        ("StatefulSet", {"replicas": 3, "updateStrategy": {"type": "RollingUpdate"}}, PROBED, ""),
        ("StatefulSet", {"replicas": 1}, PROBED, "its only pod"),
        ("StatefulSet", {"replicas": 3, "updateStrategy": {"type": "OnDelete"}}, PROBED, "OnDelete"),
    ],
)
def test_what_a_rollout_would_leave_unanswered(kind: str, spec: dict[str, Any], template: dict[str, Any], told: str) -> None:
    gaps = pods.rollout_gaps({"kind": kind, "spec": spec}, template)
    assert bool(gaps) == bool(told) and told in " ".join(gaps)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"paused": True}, "is paused"),
        ({"updateStrategy": {"rollingUpdate": {"partition": 2}}}, "below 2"),
        ({"updateStrategy": {"rollingUpdate": {"partition": 0}}}, ""),
        ({"updateStrategy": {"type": "OnDelete"}}, ""),  # pods that are made anew get the present template
        ({"paused": False, "strategy": {"rollingUpdate": {"maxSurge": 1}}}, ""),
    ],
)
def test_what_keeps_pods_from_ever_getting_a_release(spec: dict[str, Any], told: str) -> None:
    found = pods.kept_back({"spec": spec})
    assert bool(found) == bool(told) and told in found


def test_how_long_pods_that_nobody_asks_have_to_run() -> None:
    def settling(failing: bool = False, seconds: int = 0, **container: Any) -> float:
        spec = {"minReadySeconds": seconds, "template": {"spec": {"containers": [{"name": "web", **container}]}}}
        return pods.settling({"spec": spec}, failing)

    assert settling(readinessProbe={"exec": {}}) == 0
    assert settling() == 5 and settling(seconds=3) == 2 and settling(seconds=9) == 0
    assert settling(livenessProbe={"periodSeconds": 1}) == 5
    assert settling(livenessProbe={"exec": {}}) == 12  # what the API fills in: every 10 seconds, 1 second to answer
    assert settling(livenessProbe={"initialDelaySeconds": 600}) == 30
    assert settling(True, livenessProbe={"exec": {}}) == 32  # and three times


def test_a_container_that_is_ended_for_its_liveness_probe_is_known_while_it_still_runs() -> None:
    web = pod(containerStatuses=[container(ready=True, state={"running": {"startedAt": "2026-01-01T00:00:10Z"}})])
    web["metadata"]["uid"] = "1"

    def told(reason: str, message: str, uid: str = "1", at: str = "2026-01-01T00:00:20Z") -> tuple[bool, list[str]]:
        event = {"reason": reason, "message": message, "lastTimestamp": at}
        event["involvedObject"] = {"uid": uid, "fieldPath": "spec.containers{web}"}
        failing, problems = pods.liveness([web], [event])
        return failing, [problem.text for problem in problems]

    kill = "Container web failed liveness probe, will be restarted"
    assert told("Unhealthy", "Liveness probe failed: HTTP 500") == (True, [])
    assert told("Killing", kill) == (True, [f"pod web-1, container web: Unhealthy: {kill}"])
    assert told("Killing", kill, at="2026-01-01T00:00:09Z") == (True, [])  # it has been started again since
    assert told("Killing", kill, uid="2") == (False, [])
    assert told("Killing", "Stopping container web") == (False, [])
    assert told("Unhealthy", "Readiness probe failed: HTTP 500") == (False, [])
    web["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:30Z"
    assert told("Killing", kill) == (False, [])


WEB = {"namespace": "shop", "kind": "deployment", "name": "web", "needs": ["workload", "keda"]}
JOBS, RECORD = {"needs": ["job"], "why": "Jobs"}, {"needs": ["record"], "why": "records"}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ([], []),
        ([{}, {}], []),
        ([WEB, {}], [("shop", "web", "workload keda", "")]),
        ([WEB, {**JOBS, "namespace": "shop"}], [("shop", "web", "workload keda job", "")]),
        ([{}, {**JOBS, "namespace": "shop"}], [("shop", "", "job", "Jobs")]),
        (
            [WEB, {**JOBS, "namespace": "jobs"}, {**JOBS, "namespace": "jobs"}, {**RECORD, "namespace": "ops"}],
            [("shop", "web", "workload keda", ""), ("jobs", "", "job", "Jobs, Jobs"), ("ops", "", "record", "records")],
        ),
        (
            [WEB, {**RECORD, "namespace": "shop", "context": "east"}],
            [("shop", "web", "workload keda", ""), ("shop", "", "record", "records")],
        ),
        ([WEB, {**RECORD, "namespace": "shop", "context": None}], [("shop", "web", "workload keda record", "")]),
    ],
)
def test_each_namespace_is_asked_once_for_what_will_be_used_there(asked: list[Any], found: list[Any]) -> None:
    told = rights.places(asked)
    assert [(place["namespace"], place.get("name", ""), " ".join(place["needs"]), place["why"]) for place in told] == found
