# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
r"""Every way in which one secret may be written down, as one regular expression.

Letters and digits are the same in each of them; any other character has a form of its own in a URL (``%40``, ``+``), in a URL
inside of a URL (``%2540``), an ini file (``%%``), JSON, ``repr``, libpq's connection strings and shells (a backslash and more
of them, ``\u00e9``, ``\xe9``, ``'"'"'``), SQL (``''``) and HTML (``&#39;``). Forms may be mixed within one secret: what encodes
some characters and leaves others, as SQLAlchemy does with the space, needs no rule of its own.
"""

from __future__ import annotations

import itertools
import re

_PLAIN = re.compile(r"[A-Za-z0-9]+")
_BACKSLASHES = r"\\{0,16}"
_ESCAPED = r"\\{1,16}"
_AMPERSAND = "&(?:amp;)*"
_SPACES = " \t\n\r\v\f\u00a0"
# No two of these begin alike: a long run of blanks has one reading only, and costs no more than its length.
_SPACE = (
    rf"(?:[\s+]|%+(?:25)*(?:20|0[9a-dA-D]|[cC]2%+(?:25)*[aA]0)|{_ESCAPED}(?:[\snrtvf]|x20|x0[9a-d]|(?:x[cC]2{_ESCAPED})?x[aA]0|u00(?:20|0[9a-dA-D]|[aA]0))"
    rf"|{_AMPERSAND}(?:nbsp|#(?:32|x20|9|1[0-3]|160|x[9a-d]|x[aA]0));)+"
)
# What has a letter of its own in escapes.
_LETTERS = {"\b": "b", "\a": "a", "\0": "0"}
_ENTITIES = {"&": ("amp",), "<": ("lt",), ">": ("gt",), '"': ("quot",), "'": ("apos",)}
#: Characters that some syntax doubles.
_DOUBLED = "'\"%${}\\`"
#: A word begins here although a letter or digit stands before: it ends an escape.
_AFTER_ESCAPE = r"(?:(?<!\w)|(?<=\\[nrtbfva0])|(?<=%[0-9A-Fa-f]{2})|(?<=\\x[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4}))"


def core(secret: str) -> str:
    """Return the part of ``secret`` that is the same in all of its spellings; empty where nothing is."""
    return max(_PLAIN.findall(secret), key=len, default="")


def pattern(secret: str, whole_word: bool = False) -> str:
    """Return a regular expression that matches ``secret``, which neither begins nor ends with white space, in any spelling.

    :param whole_word: not as a part of a longer word.
    """
    text = "".join(_part(kind, "".join(same)) for kind, same in itertools.groupby(secret, _kind))
    if secret[0] in _DOUBLED:  # not from within a run of them, which would be read again from each of its characters
        text = f"(?<![{re.escape(secret[0])}\\\\])" + text
    if whole_word:
        text = (_AFTER_ESCAPE if re.match(r"\w", secret) else "") + text + (r"(?!\w)" if re.search(r"\w\Z", secret) else "")
    return text


def _kind(character: str) -> str:
    """Return the same for characters that are written as a group: white space is often collapsed."""
    return " " if character in _SPACES else character


def _part(kind: str, text: str) -> str:
    if kind == " ":
        return _SPACE
    if _PLAIN.fullmatch(kind):
        return text
    if kind == "\\":
        return rf"(?:\\(?:x5[cC]|u005[cC])?|%+(?:25)*5[cC]|{_AMPERSAND}#(?:92|x5[cC]);){{{len(text)},}}"
    group = "(?:" + "|".join(_forms(kind)) + ")"
    return group + (f"{{{len(text)},}}" if kind in _DOUBLED else f"{{{len(text)}}}" if len(text) > 1 else "")


def _forms(character: str) -> list[str]:
    code, data = ord(character), character.encode("utf-8", "surrogatepass")
    forms = [rf"'{_BACKSLASHES}\"'{_BACKSLASHES}\"'"] if character == "'" else []
    before = _BACKSLASHES if code < 128 else ""
    if character == "%":
        forms.append("%+(?:25)*")
    else:
        forms += [
            r"\s" if character.isspace() else _AMPERSAND if character == "&" else before + re.escape(character),
            "".join("%+(?:25)*" + _digits(f"{byte:02x}") for byte in data),
        ]
    if character in _LETTERS:
        forms.append(_ESCAPED + _LETTERS[character])
    forms.append(_ESCAPED + "(?:" + "|".join(sorted({_digits(text) for text in _numbers(code)})) + ")")
    if code > 127:
        forms += ["".join(_ESCAPED + "x" + _digits(f"{byte:02x}") for byte in data)]
        forms += ["".join(_ESCAPED + f"{byte:03o}" for byte in data)]
    if code > 0xFFFF:
        high, low = divmod(code - 0x10000, 0x400)
        forms.append(f"{_ESCAPED}u{_digits(f'{0xD800 + high:04x}')}{_ESCAPED}u{_digits(f'{0xDC00 + low:04x}')}")
    entities = [f"#0?{code}", "#x" + _digits(f"{code:x}"), *_ENTITIES.get(character, ())]
    return [*forms, f"{before}{_AMPERSAND}(?:{'|'.join(entities)});"]


def _numbers(code: int) -> list[str]:
    found = [f"x{code:02x}", f"{code:03o}"] if code < 0x100 else []
    return [*found, f"u{code:04x}" if code < 0x10000 else f"U{code:08x}"]


def _digits(text: str) -> str:
    """Return hexadecimal digits in either case; the first character of an escape is its letter and stays."""
    return "".join(f"[{digit}{digit.upper()}]" if digit in "abcdef" else digit for digit in text)
