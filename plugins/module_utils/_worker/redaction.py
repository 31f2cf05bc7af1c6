# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The one place where secrets are taken out of what is shown, kept or answered."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Iterable, Mapping, Pattern
from urllib.parse import parse_qsl, unquote

from .printable import printable
from .spellings import core, pattern

MASK = "***"
#: Secrets of fewer characters are masked where a URL or ``password=`` announces them only, as every text holds them.
MINIMUM = 3
#: Secrets of fewer characters are masked as a whole word only.
WORD = 8
# What messages, SQL and names are made of. As a password it is no secret, and masked where it is announced only.
_WORDS = (
    "admin alembic app base changeme database default demo development error example false head heads host"
    " local localhost main mariadb master migration mysql none null password passwd postgres postgresql"
    " production prod public revision role root schema secret server sqlite staging string table test testing"
    " token true upgrade user"
)
COMMON = frozenset(_WORDS.split())
#: Texts of at most so many characters are remembered as they are shown, and so many of them.
SHORT, MEMORY = 200, 2000
#: Characters at a cut that are taken away after redaction.
MARGIN = 4000

_URL_PASSWORD = re.compile(
    r"((?<![a-zA-Z0-9+.-])[a-zA-Z][a-zA-Z0-9+.-]*://[^\s:/@'\"]*:)(?!\*\*\*@)([^\s'\"]{0,1000}?)(@(?=[^\s@'\"]*(?:[\s'\"]|$)))"
)
# Passwords in URLs of databases may hold blanks and quotes, as SQLAlchemy writes them; a port is none.
_DATABASE_URL = re.compile(
    r"((?:postgres(?:ql)?|mysql|mariadb|cockroachdb|mssql|oracle|redis|amqps?|mongodb)(?:\+\w+)?://[^\s:/@'\"]*:)"
    r"(?!\*\*\*@)(?!\d{1,5}(?:/[^\s@]*)?(?:[\s'\",;)]|$))((?:(?!://)[^\n]){1,500})"
    r"(@(?=[\w.\-\[\]:,%]*(?:[/?\s'\"`)>,;]|$)))"
)
_VALUE = r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\"|(?:\\.|[^\s,;)&'\"\\])+"
_ASSIGNED = re.compile(rf"(?i)((?:password|passwd|pwd|secret|token|api_key)(?:\\*['\"])?\s*[=:]\s*)({_VALUE})")
_SQL = re.compile(r"(?i)(\b(?:password|(?<!revision )identified(?:\s+with\s+\w+)?\s+by)\s+[EN]?)('(?:[^'\\]|\\.|'')*')")
_HEADER = re.compile(r"(?i)(\b(?:bearer|basic)\s+)([A-Za-z0-9+/=._~-]{16,})")
_SECRET_NAME = re.compile(r"(?i)pass|pwd|secret|token|credential|private|api_?key")
_NO_SECRET_NAME = re.compile(r"(?i)^(OLD)?PWD$|ASKPASS|PASSFILE|_(FILE|PATH|DIR|FOLDER|NAME|TTL|SECONDS|LENGTH|ENABLED)$")
_CUT = "\ufdd0"  # no character: where a text was cut before it was redacted
_URL_PARTS = re.compile(r"(?<![a-zA-Z0-9+.-])[a-zA-Z][a-zA-Z0-9+.-]*://([^\s:/@]*):(.*)@([^\s@/]*)(?:/([^\s?]*))?", re.DOTALL)
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/_-]{48,}(?:\r?\n|\\n))*[A-Za-z0-9+/_-]{6,}={0,2}")


def cut(text: str, limit: int) -> str:
    """Return the beginning of ``text``, or with a negative ``limit`` its end, for a :class:`Redactor` to shorten to ``limit``.

    A text that is cut first may keep half of a secret, which nobody recognises. So more than ``limit`` characters are kept, and
    taken away when the secrets are masked.
    """
    if len(text) <= abs(limit):
        return text
    return _CUT + text[limit - MARGIN :] if limit < 0 else text[: limit + MARGIN] + _CUT


def url_secrets(text: str) -> tuple[set[str], set[str]]:
    """Return the passwords of the URL in ``text`` as they are, and its parts that are no secret."""
    if "://" not in text:
        return set(), set()
    match = _URL_PARTS.search(text)
    query = text.partition("://")[2].partition("?")[2].partition("#")[0]
    found = {value for name, value in parse_qsl(query) if _SECRET_NAME.search(name) and not _NO_SECRET_NAME.search(name)}
    if not match:
        return found, set()
    user, password, host, database = (match.group(n) or "" for n in (1, 2, 3, 4))
    return found | {password, unquote(password)}, {user, unquote(user), host.split(":")[0], database}


def environment_secrets(environment: Mapping[str, str]) -> set[str]:
    """Return the values of ``environment`` that are secrets by their name, and the passwords in those that are URLs."""
    found: set[str] = set()
    for name, value in environment.items():
        found |= url_secrets(value)[0]
        if is_secret(name, value):
            found.add(value)
    return found


def is_secret(name: str, value: str) -> bool:
    """Tell whether what is called ``name`` is a secret as a whole; of a URL it is the password alone."""
    return bool(_SECRET_NAME.search(name)) and not _NO_SECRET_NAME.search(name) and not url_secrets(value)[0]


def is_telling(secret: str) -> bool:
    """Tell whether a text may be searched for ``secret``: it is neither too short nor a word that is everywhere."""
    text = secret.strip()
    return len(text) >= MINIMUM and text.lower() not in COMMON and not (text.isdigit() and len(text) < 5)


class _Secret:
    def __init__(self, text: str) -> None:
        self.text, self.core = text, core(text)
        self._pattern: Pattern[str] | None = None
        data = text.encode("utf-8", "surrogatepass")
        found = (base64.b64encode(data), base64.urlsafe_b64encode(data)) if len(data) < 6 else ()
        self.encoded = sorted({item.decode().rstrip("=") for item in found})

    def mask(self, text: str) -> str:
        if self.core in text:
            text = self.pattern.sub(MASK, text)
        for encoded in self.encoded:
            if encoded in text:
                text = re.sub(rf"(?<![\w+/-]){re.escape(encoded)}(?![\w+/-])", MASK, text)
        return text

    def is_in(self, data: bytes) -> bool:
        text = data.decode("utf-8", "replace")
        return (self.core in text and bool(self.pattern.search(text))) or any(encoded in text for encoded in self.encoded)

    @property
    def pattern(self) -> Pattern[str]:
        if self._pattern is None:
            self._pattern = re.compile(pattern(self.text, len(self.text) < WORD))
        return self._pattern


class Redactor:
    """Replaces secrets in any JSON-like value, and writes out what commands a terminal.

    A password is masked wherever a URL, ``password=`` or SQL announces it, and wherever its text appears, in any spelling of
    :mod:`.spellings` and in base64. By its text it cannot be told from a user, host or database of the same name, from a
    common word or from one or two characters: those are masked where they are announced only. One of less than eight
    characters is masked as a whole word.
    """

    def __init__(self) -> None:
        self._secrets: list[_Secret] = []
        self._known: set[str] = set()
        self._public: set[str] = {""}
        self._shown: dict[str, str] = {}  # short text → how it is shown, with the secrets that are known now

    def add_url(self, url: str) -> None:
        """Learn the passwords of a URL, and which of its parts are none."""
        secrets, public = url_secrets(url)
        if not public <= self._public:
            self._public |= public
            self._shown.clear()
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        for secret in map(str.strip, secrets):
            if secret not in self._known and is_telling(secret):
                self._known.add(secret)
                self._secrets.append(_Secret(secret))
                self._shown.clear()
        self._secrets.sort(key=lambda item: -len(item.text))

    def mask(self, text: str) -> str:
        """Return ``text`` without its secrets."""
        wanted = [secret for secret in self._secrets if secret.text not in self._public]
        for secret in wanted:
            text = secret.mask(text)
        if wanted:
            text = _BASE64.sub(lambda match: _undecoded(match.group(), wanted), text)
        if "://" in text and "@" in text:
            text = _URL_PASSWORD.sub(rf"\1{MASK}\3", text)
            text = _DATABASE_URL.sub(rf"\1{MASK}\3", text)
        for announced in (_ASSIGNED, _SQL, _HEADER):
            text = announced.sub(r"\1" + MASK, text)
        return text

    def text(self, text: str) -> str:
        """Return ``text`` as it may be shown: without secrets, and without commands for a terminal."""
        shown = self.mask(text)
        if shown.startswith(_CUT):
            shown = shown[len(_CUT) + MARGIN :]
        if shown.endswith(_CUT):
            shown = shown[: -len(_CUT) - MARGIN]
        return printable(shown)

    def clean(self, value: Any) -> Any:
        """Return plain data in which each text may be shown."""
        if isinstance(value, str):
            return self._short(value) if len(value) <= SHORT else self.text(value)
        if isinstance(value, Mapping):
            return {self.clean(key) if isinstance(key, str) else key: self.clean(item) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.clean(item) for item in value]
        return value if isinstance(value, (int, float, bool, type(None))) else self.text(str(value))

    def _short(self, text: str) -> str:
        """Return the same as ``text()``, from memory where it was asked before: keys and names come with every message."""
        if text not in self._shown:
            if len(self._shown) >= MEMORY:
                self._shown.clear()
            self._shown[text] = self.text(text)
        return self._shown[text]


def _undecoded(text: str, secrets: list[_Secret], depth: int = 2) -> str:
    """Return ``text``, or a mask if it is base64 of something that holds a secret, at whatever offset, once or twice."""
    plain = re.sub(r"\r?\n|\\n|=", "", text).replace("-", "+").replace("_", "/")
    for offset in range(4):
        body = plain[offset:]
        try:
            data = binascii.a2b_base64(body[: len(body) - (len(body) % 4 == 1)] + "=" * (-len(body) % 4 % 3))
        except binascii.Error:
            continue
        if any(secret.is_in(data) for secret in secrets):
            return MASK
        if depth > 1 and _BASE64.fullmatch(data.decode("ascii", "replace")):
            inner = data.decode()
            if _undecoded(inner, secrets, depth - 1) != inner:
                return MASK
    return text


def redactor_for(request: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Redactor:
    """Return a redactor that knows the secrets of ``request``: its URLs, its environment and its ``-x`` arguments.

    :param environment: what the process that carries it out has in its environment besides.
    """
    redactor = Redactor()
    teach(redactor, request, environment)
    return redactor


def teach(redactor: Redactor, request: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> None:
    """Let ``redactor`` know the secrets of ``request`` as well."""
    for url in [request.get("url"), request.get("scratch_url"), *(request.get("urls") or {}).values()]:
        redactor.add_url(str(url or ""))
    arguments = [str(item) for item in request.get("x_arguments") or ()]
    for argument in arguments:
        redactor.add_url(argument)
    pairs = [(str(name), str(value)) for name, value in (request.get("environment") or {}).items()]
    pairs += [(name, value) for name, equals, value in (argument.partition("=") for argument in arguments) if equals]
    for known in (dict(pairs), environment or {}):
        for value in known.values():
            redactor.add_url(value)
        redactor.add(environment_secrets(known))
