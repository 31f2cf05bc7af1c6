# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Says why an API server did not answer: where it was asked, and the cause below what the client wraps around it."""

from __future__ import annotations

import re
import socket
import ssl
from contextlib import contextmanager
from typing import Any, Iterator

from .._errors import MigrationError
from .._worker.redaction import Redactor, cut

#: What to do where no cluster, or another one, was named.
HOW = (
    "Set application_kubernetes_kubeconfig or K8S_AUTH_KUBECONFIG, and application_kubernetes_context where it is not the present"
    " one, or run inside the cluster with a service account."
)
#: Seconds for one try, of which the client makes four; left alone it would wait for ever.
CONNECT = 15.0
#: What a client stumbles over that expects another answer.
_UNLIKE = (AttributeError, LookupError, TypeError, ValueError)
_NO_ENTRY = re.compile(r"Expected object with name (.+) in (.+)/(context|cluster)s list")
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE")


@contextmanager
def impatiently() -> Iterator[None]:
    """Limit the requests that the client makes by itself, before it can be told how long one may take."""
    from kubernetes.client.rest import RESTClientObject  # type: ignore[import-not-found,import-untyped,unused-ignore]

    former = RESTClientObject.request

    def limited(self: Any, *given: Any, **named: Any) -> Any:
        return former(self, *given, **{**named, "_request_timeout": named.get("_request_timeout") or CONNECT})

    RESTClientObject.request = limited
    try:
        yield
    finally:
        RESTClientObject.request = former


def unreached(exc: BaseException) -> MigrationError:
    """Return ``cluster_unreachable`` for what the client raised, in one sentence."""
    chain = list(_chain(exc))
    entry = _NO_ENTRY.search(str(chain[-1]))
    if entry:
        return _without_entry(*entry.groups())
    pool = next((item.pool for item in chain if getattr(getattr(item, "pool", None), "scheme", "")), None)
    if pool is None:
        other = isinstance(chain[-1], _UNLIKE)
        why = "the kubeconfig, or what its server answers, is not what Kubernetes has: " if other else ""
        return MigrationError(f"The cluster can not be reached: {why}{_one_line(chain[-1])}.", "cluster_unreachable", HOW)
    proxy = getattr(pool, "proxy", None) if any(type(item).__name__ == "ProxyError" for item in chain) else None
    through = f"its proxy {proxy.scheme}://{proxy.host}:{proxy.port}: " if proxy else ""
    return MigrationError(
        f"The cluster at {pool.scheme}://{pool.host}:{pool.port} can not be reached: {through}{_cause(chain)}.",
        "cluster_unreachable",
        f"Look at the server in the kubeconfig, and at network, VPN and firewall between. {HOW}",
    )


def _without_entry(name: str, path: str, kind: str) -> MigrationError:
    """Return the error for a kubeconfig that lacks the context that was named, or what that names."""
    from kubernetes.config import list_kube_config_contexts  # type: ignore[import-not-found,import-untyped,unused-ignore]

    message = f"The kubeconfig {path} has no {kind} {name}"
    if kind != "context":
        return MigrationError(f"{message}, which its context names.", "cluster_unreachable", f"Mend it. {HOW}")
    try:
        known = [str(item["name"]) for item in list_kube_config_contexts(config_file=path)[0]]
    except Exception:  # none is the present one, or it names nothing either
        known = []
    there = f"; there {'is' if len(known) == 1 else 'are'} {', '.join(known)}" if known else ""
    return MigrationError(f"{message}{there}.", "cluster_unreachable", HOW)


def _chain(exc: BaseException | None) -> Iterator[Any]:
    """Go down to what was first. A client may hand its cause on as an attribute or an argument alone."""
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        seen.add(id(exc))
        yield exc
        held = [item for item in (getattr(exc, "reason", None), *exc.args) if isinstance(item, BaseException)]
        exc = exc.__cause__ or exc.__context__ or next(iter(held), None)


def _cause(chain: list[Any]) -> str:
    last = next((item for item in reversed(chain) if isinstance(item, OSError)), chain[-1])
    if isinstance(last, socket.gaierror):
        return f"its name does not resolve ({_one_line(last)})"
    if isinstance(last, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({last.verify_message.rstrip('.')})"
    if isinstance(last, ssl.SSLError) and last.reason in _NO_TLS:
        return "what listens there does not speak TLS"
    if isinstance(last, (ssl.SSLZeroReturnError, ssl.SSLEOFError, ConnectionError)) and not isinstance(
        last, ConnectionRefusedError
    ):
        return "it closes the connection without an answer"
    if isinstance(last, socket.timeout) or any("TimeoutError" in type(item).__name__ for item in chain):
        return "nothing came in time"
    return _one_line(last)


def _one_line(exc: BaseException) -> str:
    """Return what an error says, as one line without secrets."""
    where = f"{exc.filename}: " if isinstance(exc, OSError) and isinstance(exc.filename, str) else ""
    text = where + str(getattr(exc, "strerror", None) or exc) or type(exc).__name__
    return Redactor().text(cut(" ".join(text.split()), 500)).rstrip(".")
