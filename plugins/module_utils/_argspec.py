# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The options of the modules, each once. Their documentation is in the doc fragments of the same names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, NoReturn, Sequence

from ansible.module_utils.basic import AnsibleModule

from ._worker.redaction import MASK, Redactor, is_secret, redactor_for, teach

Names = Sequence[str]


@dataclass(frozen=True)
class ArgumentSpec:
    """A part of a module's argument specification; parts are added up with ``+``."""

    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    mutually_exclusive: tuple[Names, ...] = ()
    required_together: tuple[Names, ...] = ()
    required_one_of: tuple[Names, ...] = ()
    required_if: tuple[Sequence[Any], ...] = ()
    required_by: Mapping[str, Names] = field(default_factory=dict)

    def __add__(self, other: ArgumentSpec) -> ArgumentSpec:
        """Return both parts in one; an option that both have is a defect and raises ``ValueError``."""
        twice = sorted(set(self.options) & set(other.options))
        if twice:
            raise ValueError("options specified twice: {}".format(", ".join(twice)))
        return ArgumentSpec(
            options={**self.options, **other.options},
            mutually_exclusive=self.mutually_exclusive + other.mutually_exclusive,
            required_together=self.required_together + other.required_together,
            required_one_of=self.required_one_of + other.required_one_of,
            required_if=self.required_if + other.required_if,
            required_by={**self.required_by, **other.required_by},
        )

    def as_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of AnsibleModule."""
        rules: dict[str, list[Any]] = {
            "mutually_exclusive": [list(names) for names in self.mutually_exclusive],
            "required_together": [list(names) for names in self.required_together],
            "required_one_of": [list(names) for names in self.required_one_of],
            "required_if": [list(rule) for rule in self.required_if],
        }
        given = {name: rule for name, rule in rules.items() if rule}
        by = {"required_by": {name: list(names) for name, names in self.required_by.items()}} if self.required_by else {}
        return {"argument_spec": {name: dict(option) for name, option in self.options.items()}, **given, **by}

    def create_module(self, supports_check_mode: bool = True) -> AnsibleModule:
        return Module(supports_check_mode=supports_check_mode, **self.as_arguments())  # type: ignore[no-untyped-call]


class Module(AnsibleModule):
    """A module whose own options are shown without their secrets: in its result, in a failure and in the system's log.

    Ansible's way, ``no_log_values``, replaces the text of a secret in the whole result: one of one letter shreds it. What the
    worker answers is redacted already.
    """

    def exit_json(self, **values: Any) -> NoReturn:
        self.params = self._shown()
        super().exit_json(**self._warned(values))
        raise SystemExit  # it does not come back

    def fail_json(self, msg: str, **values: Any) -> NoReturn:
        shown = self._redactor().text(str(msg))
        self.params = self._shown()
        super().fail_json(msg=shown, **self._warned(values))
        raise SystemExit

    def _warned(self, values: dict[str, Any]) -> dict[str, Any]:
        """Give the warnings of a result to Ansible, which of a result itself takes none after ansible-core 2.22."""
        for warning in values.pop("warnings", ()):
            self.warn(warning)
        return values

    def warn(self, warning: Any, *arguments: Any, **keywords: Any) -> None:
        shown = self._redactor().text(warning) if isinstance(warning, str) else warning
        super().warn(shown, *arguments, **keywords)

    def _log_invocation(self) -> None:
        given, self.params = self.params, self._shown()
        try:
            super()._log_invocation()  # type: ignore[no-untyped-call]
        finally:
            self.params = given

    def _redactor(self) -> Redactor:
        """Return what knows the secrets of the options; an option of the wrong type, about to be refused, is left out."""
        redactor = redactor_for(_telling(self.params))
        for target in self._targets():
            teach(redactor, _telling(target))
        query = self.params.get("query")
        if isinstance(query, dict):
            teach(redactor, _telling(query))
        return redactor

    def _targets(self) -> list[Mapping[str, Any]]:
        """Return what many databases have of options of their own."""
        given = self.params.get("targets")
        return [target for target in given if isinstance(target, dict)] if isinstance(given, list) else []

    def _shown(self) -> dict[str, Any]:
        hidden = {name for name, option in self.argument_spec.items() if option.get("no_log")}  # Ansible shows none of these
        own = {name: value for name, value in self.params.items() if name not in ("targets", "query")}
        redactor = redactor_for(_telling(own))
        shown = {name: value if name in hidden else redactor.clean(value) for name, value in own.items()}
        _mask_environment(shown, own)
        for name, parts in (("targets", self._targets()), ("query", self.params.get("query"))):
            if name in self.params:
                cleaned = [redactor.clean(_shown_part(part)) for part in (parts if isinstance(parts, list) else [parts]) if part]
                shown[name] = cleaned if isinstance(parts, list) else (cleaned or [None])[0]
        return shown


def _telling(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that may hold secrets."""
    types = {"url": str, "scratch_url": str, "urls": dict, "environment": dict, "x_arguments": list}
    return {name: value for name, value in params.items() if isinstance(value, types.get(name, ()))}


def _shown_part(part: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = redactor_for(_telling(part)).clean(part)
    _mask_environment(shown, part)
    return shown


def _mask_environment(shown: dict[str, Any], params: Mapping[str, Any]) -> None:
    """Mask what is secret by its name, also one that no text could be searched for."""
    if isinstance(params.get("environment"), dict):
        for name, value in params["environment"].items():
            shown["environment"][name] = MASK if is_secret(str(name), str(value)) else shown["environment"].get(name)


def kubernetes_spec() -> ArgumentSpec:
    """The option ``kubernetes``: run the worker in a Job instead of on this host."""
    sources = dict(
        workload=dict(type="str", required=True),
        namespace=dict(type="str", required=True),
        sources=dict(type="list", elements="dict", required=True),
    )
    options = dict(
        kubeconfig=dict(type="path"),
        context=dict(type="str"),
        namespace=dict(type="str", required=True),
        application=dict(type="str", required=True),
        image=dict(type="str", required=True),
        image_pull_policy=dict(type="str", choices=["Always", "IfNotPresent", "Never"]),
        image_pull_secrets=dict(type="list", elements="str", default=[], no_log=False),
        secret=dict(type="str", required=True, no_log=False),
        secret_key=dict(type="str", default="url", no_log=False),
        database=dict(type="str"),
        workload_urls=dict(type="list", elements="dict", default=[], options=sources),
        url_variable=dict(type="str"),
        environment_secrets=dict(type="list", elements="str", default=[], no_log=False),
        service_account=dict(type="str"),
        user=dict(type="int"),
        labels=dict(type="dict", default={}),
        annotations=dict(type="dict", default={}),
        resources=dict(type="dict", default={}),
        pod=dict(type="dict", default={}),
        deadline=dict(type="float", default=3600),
        patience=dict(type="float", default=20),
        keep_count=dict(type="int", default=5),
        deployment=dict(type="str"),
    )
    return ArgumentSpec(options=dict(kubernetes=dict(type="dict", options=options)))


def application_spec() -> ArgumentSpec:
    """Which Python the application runs in, and with what around it."""
    return kubernetes_spec() + ArgumentSpec(
        options=dict(
            python=dict(type="path"),
            virtualenv=dict(type="path"),
            environment=dict(type="dict", default={}, no_log=False),
            timeout=dict(type="float", default=0),
        ),
        mutually_exclusive=(("python", "virtualenv"),),
    )


def project_spec() -> ArgumentSpec:
    """Which Alembic project is meant and which database; for every module that drives Alembic."""
    return application_spec() + ArgumentSpec(
        options=dict(
            chdir=dict(type="path"),
            config=dict(type="path"),
            section=dict(type="str"),
            url=dict(type="str", no_log=True),
            urls=dict(type="dict", no_log=True),
            x_arguments=dict(type="list", elements="str", default=[]),
            prelude=dict(type="str"),
        ),
        required_one_of=(("chdir", "config"),),
    )


def migration_spec() -> ArgumentSpec:
    """How a module that writes does so safely."""
    return ArgumentSpec(
        options=dict(
            expect_current=dict(type="list", elements="str"),
            lock=dict(type="bool", default=True),
            lock_wait=dict(type="float", default=300),
            lock_timeout=dict(type="float", default=5),
            statement_timeout=dict(type="float", default=0),
            retries=dict(type="int", default=5),
            retry_delay=dict(type="float", default=1),
        )
    )


def follow_spec() -> ArgumentSpec:
    """How the action plugin follows a run that takes long."""
    return ArgumentSpec(
        options=dict(
            job=dict(type="str"), wait=dict(type="float"), cursor=dict(type="int"), reconnect=dict(type="float", default=300)
        ),
        required_by=dict(wait=("job",), cursor=("job",)),
    )


def info_spec() -> ArgumentSpec:
    return project_spec() + ArgumentSpec(options=dict(target=dict(type="str", default="heads")))


def plan_spec() -> ArgumentSpec:
    return project_spec() + ArgumentSpec(
        options=dict(
            revision=dict(type="str", default="head"),
            mode=dict(type="str", choices=["auto", "rehearse", "static"], default="auto"),
            scratch_url=dict(type="str", no_log=True),
            throwaway_cluster=dict(type="bool", default=True),
            maintenance_database=dict(type="str"),
            postgresql_programs=dict(type="path"),
            large_rows=dict(type="int", default=100000),
            large_mebibytes=dict(type="int", default=64),
            data_checks=dict(type="bool", default=True),
            data_checks_timeout=dict(type="float", default=10),
            observed_statements=dict(type="int", default=0),
            application_roles=dict(type="list", elements="str"),
            may_break=dict(type="str", choices=["warn", "contract"], default="warn"),
            unknown=dict(type="str", choices=["maintenance_window", "refuse"], default="maintenance_window"),
        )
    )


def upgrade_spec() -> ArgumentSpec:
    return upgrade_request_spec() + follow_spec()


def upgrade_request_spec() -> ArgumentSpec:
    """Which upgrade, and how."""
    initialise = ArgumentSpec(
        options=dict(
            initialise=dict(type="str", choices=["upgrade", "command", "stamp", "refuse"], default="upgrade"),
            initialise_command=dict(type="list", elements="str"),
            initialise_revision=dict(type="str"),
        ),
        required_if=(("initialise", "command", ("initialise_command",)), ("initialise", "stamp", ("initialise_revision",))),
    )
    target = ArgumentSpec(options=dict(revision=dict(type="str", default="head"), max_pending=dict(type="int")))
    return project_spec() + migration_spec() + target + initialise


def downgrade_spec() -> ArgumentSpec:
    target = ArgumentSpec(options=dict(revision=dict(type="str", required=True), max_pending=dict(type="int")))
    return project_spec() + migration_spec() + follow_spec() + target


def stamp_spec() -> ArgumentSpec:
    target = ArgumentSpec(options=dict(revision=dict(type="str", required=True), purge=dict(type="bool", default=False)))
    return project_spec() + migration_spec() + target


def check_spec() -> ArgumentSpec:
    return project_spec() + ArgumentSpec(options=dict(fail_on_difference=dict(type="bool", default=True)))


def revision_spec() -> ArgumentSpec:
    return project_spec() + ArgumentSpec(
        options=dict(
            method=dict(type="str", choices=["empty", "autogenerate", "merge"], default="empty"),
            title=dict(type="str"),
            head=dict(type="str", default="head"),
            heads=dict(type="list", elements="str"),
            splice=dict(type="bool", default=False),
            branch_label=dict(type="str"),
            version_path=dict(type="path"),
            revision_id=dict(type="str"),
            depends_on=dict(type="list", elements="str"),
        )
    )
