# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The one place where secrets are taken out of what leaves the worker."""

from __future__ import annotations

import re
from typing import Any, Iterable, Pattern
from urllib.parse import quote, quote_plus, unquote

MASK = "***"
_URL_PASSWORD = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://[^\s:/@'\"]*:)(?!\*\*\*@)([^\s'\"]*?)(@(?=[^\s@'\"]*(?:[\s'\"]|$)))")
_ASSIGNED = re.compile(
    r"(?i)((?:password|passwd|pwd|secret|token|api_key)['\"]?\s*[=:]\s*)('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^\s,;)&'\"]+)"
)
_SECRET_NAME = re.compile(r"(?i)pass|pwd|secret|token|credential|private|api_?key")
_URL_PARTS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://([^\s:/@]*):(.*)@([^\s@/]*)(?:/([^\s?]*))?")


def url_secrets(text: str) -> tuple[set[str], set[str]]:
    """Return the password of the URL in ``text``, in each spelling it may appear in, and its parts that are no secret."""
    match = _URL_PARTS.search(text)
    if not match:
        return set(), set()
    user, password, host, database = (match.group(n) or "" for n in (1, 2, 3, 4))
    plain = unquote(password)
    spellings = {
        password,
        plain,
        quote(plain),
        quote(plain, safe=""),
        quote_plus(plain),
        plain.replace("%", "%%"),
        password.replace("%", "%%"),
    }
    return spellings, {user, unquote(user), host.split(":")[0], database}


def environment_secrets(environment: dict[str, str]) -> set[str]:
    """Return the values of ``environment`` that are secrets by their name, and the passwords in those that are URLs."""
    found: set[str] = set()
    for name, value in environment.items():
        passwords = url_secrets(value)[0]
        found |= passwords
        if _SECRET_NAME.search(name) and not passwords:
            found.add(value)
    return found


class Redactor:
    """Replaces secrets in any JSON-like value.

    A password is masked wherever a URL or ``password=`` announces it, and wherever its text appears. A value that is also
    the user, host or database of its URL cannot be told from that name by its text, so it is masked in the announced
    places only; one of less than eight characters is masked only as a whole word.
    """

    def __init__(self) -> None:
        self._secrets: list[tuple[str, Pattern[str]]] = []
        self._known: set[str] = set()
        self._public: set[str] = {""}

    def add_url(self, url: str) -> None:
        secrets, public = url_secrets(url)
        self._public |= public
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        for secret in secrets:
            if secret and secret not in self._known and len(secret) > 2:
                self._known.add(secret)
                pattern = re.escape(secret) if len(secret) >= 8 else rf"(?<!\w){re.escape(secret)}(?!\w)"
                self._secrets.append((secret, re.compile(pattern)))
        self._secrets.sort(key=lambda item: -len(item[0]))

    def text(self, text: str) -> str:
        if "://" in text:
            text = _URL_PASSWORD.sub(rf"\1{MASK}\3", text)
        for secret, pattern in self._secrets:
            if secret in text and secret not in self._public:
                text = pattern.sub(MASK, text)
        return _ASSIGNED.sub(r"\1" + MASK, text)

    def clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.clean(item) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.clean(item) for item in value]
        return value if isinstance(value, (int, float, bool, type(None))) else self.text(str(value))


def redactor_for(request: dict[str, Any]) -> Redactor:
    """Return a redactor that knows the secrets of ``request``: its URLs, its environment and its ``-x`` arguments."""
    redactor = Redactor()
    for url in [
        request.get("url"),
        request.get("scratch_url"),
        *(request.get("urls") or {}).values(),
        *(request.get("x_arguments") or ()),
    ]:
        redactor.add_url(str(url or ""))
    environment = {str(name): str(value) for name, value in (request.get("environment") or {}).items()}
    for value in environment.values():
        redactor.add_url(value)
    redactor.add(environment_secrets(environment))
    arguments = dict(item.split("=", 1) for item in request.get("x_arguments") or () if "=" in item)
    redactor.add(environment_secrets(arguments))
    return redactor
