"""Keep what opens a camera out of everything that people, logs and other programs read.

A URL is read pessimistically: where it may hold a secret, it is taken to hold one. `without_credentials` makes the form
that may be shown; `secrets_of` lists what must not turn up elsewhere; `scrub` takes it out of other people's messages.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from itertools import combinations_with_replacement
from typing import TypeAlias
from urllib.parse import quote, quote_plus, unquote, unquote_plus

SHORTEST = 4
"""Characters below which a secret is not looked for in free text, where it would hit ordinary words and numbers."""

HIDDEN = "***"

_Piece: TypeAlias = "tuple[str, bool]"
"""A part of a URL, and whether it is secret."""

_MOST_PIECES = 24
_PROTOCOLS = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "mqtt", "mqtts", "file"})
_SCHEME = re.compile(r"(?s)([^@=?#;]*?)((?:[A-Za-z][A-Za-z0-9+.-]{0,30}:|^)//)(.*)")
_AT = re.compile(r"[@\uFF20\uFE6B]")
_ENCODED_AT = re.compile(r"%40")
_HOST = re.compile(r"(?:\[[^\]]*\]|[^:\[\]]*)(?::[0-9]+)?")
_PATH_SECRET = re.compile(r"=|:|;(?![A-Za-z_][\w.-]*=)|%(?:3[BDF]|2[36])", re.IGNORECASE)
_PARAMETER = re.compile(rf"[?#]|{_PATH_SECRET.pattern}", re.IGNORECASE)
_KEY = re.compile(r"[A-Za-z_][\w.\[\]-]{0,31}=")
_LONG = re.compile(r"[0-9A-Za-z_-]{24,}|(?=[a-z]{0,64}[0-9A-Z])[0-9A-Za-z]{16,}")
_DELIMITERS = re.compile(r"[\s@:/?#&;=\\\[\]\uFF20\uFE6B]+")
_VALUE = re.compile(r"=(.*?)(?=[_&;/][A-Za-z]+=|$)", re.DOTALL)
_URL = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]{0,30}:)?//\S+")
_NAMED = re.compile(
    r"(?i)(\b(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|signature)\b[\"']?\s*[=:]\s*"
    r"|\bauthorization\s*[=:]\s*(?:\w+\s+)?|\b(?:basic|bearer)\s+(?=\S{8}))[^\s&,;]+"
)


def without_credentials(text: str) -> str:
    """Return a URL in a form fit for messages, on one line.

    Starred out are: everything up to the last @ (also where a password holds a character that ends a URL's host part),
    the values of parameters in path and query, parameters without a name, the fragment, a port that is no number, and
    parts of the path that look like keys (UUIDs and the like). Where an @ may as well be part of a parameter as the end
    of a password, nothing but the protocol is shown. A short secret that is a bare part of the path cannot be told from
    a name, and is shown.
    """
    first, *others = _readings(text)
    pieces = [first[0], ("all", True)] if others else first
    shown = "".join(HIDDEN if secret else piece for piece, secret in pieces if piece)
    return "".join(character if character.isprintable() else "?" for character in shown)


def secrets_of(url: str) -> tuple[str, ...]:
    """Return what `without_credentials` hides in `url`, longest first, in the forms in which it may turn up elsewhere.

    As written, percent-decoded and -encoded, escaped as JSON, Python and HTML do it, as HTTP's Basic credentials; and
    the parts of it, because a library that ends the host at a password's slash names the rest in its message. What is
    shorter than SHORTEST characters, or only the name of a protocol, is left out.
    """
    found: set[str] = set()
    for part in (part for reading in _readings(url) for part in _around_the_at(reading)):
        hidden = [place for place, (piece, secret) in enumerate(part) if secret and piece][:_MOST_PIECES]
        for first, last in combinations_with_replacement(hidden, 2):
            # joined again, because a password with a raw & or # was cut into several pieces
            found.update(_forms("".join(piece for piece, _ in part[first : last + 1])))
    return tuple(sorted((form for form in found if _worth_hiding(form)), key=lambda form: (-len(form), form)))


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a message of a library or of another process without `secrets`, and without what its URLs hide.

    `secrets` are what `secrets_of` gave for the URL in use: upper and lower case are the same. URLs are scrubbed even
    where they are not that one, and so is what is named a password, token or key.
    """
    wanted = sorted((secret for secret in secrets if _worth_hiding(secret)), key=len, reverse=True)
    if wanted:
        text = re.sub("|".join(map(re.escape, wanted)), HIDDEN, text, flags=re.IGNORECASE)
    text = _URL.sub(lambda match: without_credentials(match.group()), text)
    return _NAMED.sub(lambda match: match.group(1) + HIDDEN, text)


def _worth_hiding(secret: str) -> bool:
    return len(secret) >= SHORTEST and secret.lower() not in _PROTOCOLS and bool(secret.strip("*"))


def _readings(text: str) -> list[list[_Piece]]:
    """Cut a URL into pieces: in two ways where one cannot know whether an @ ends the password or is in a parameter."""
    scheme = _SCHEME.fullmatch(text)
    start = scheme.end(2) if scheme else 0
    head, rest = (text[:start], False), text[start:]
    authority, after = _cut(rest, r"[/?#;]")
    *_, at = None, *(_AT.finditer(rest) if _AT.search(rest) else _ENCODED_AT.finditer(authority))
    if at is None:
        return [[head, *(_located(rest) if scheme else _path_and_rest(rest))]]
    with_user = [head, (rest[: at.start()], True), ("@", False), *_located(rest[at.end() :])]
    between = after[: max(0, at.start() - len(authority))]
    if _HOST.fullmatch(authority) and _PARAMETER.search(between):
        return [with_user, [head, *_located(rest)]]
    return [with_user]


def _located(text: str) -> Iterator[_Piece]:
    """Cut what follows the user information."""
    authority, rest = _cut(text, r"[/?#;]")
    if _HOST.fullmatch(authority):
        yield authority, False
        yield from _path_and_rest(rest)
    else:  # joe:password/path, where the host was forgotten: nobody knows where the password ends
        name, colon, secret = text.partition(":")
        yield name + colon, False
        yield secret, True


def _path_and_rest(text: str) -> Iterator[_Piece]:
    path, rest = _cut(text, r"[?#]")
    yield from _path(path)
    query, fragment = _cut(rest, r"#")
    yield from _query(query)
    yield fragment[:1], False
    yield fragment[1:], True


def _around_the_at(pieces: list[_Piece]) -> tuple[list[_Piece], list[_Piece]]:
    place = pieces.index(("@", False)) if ("@", False) in pieces else 0
    return pieces[:place], pieces[place:]


def _cut(text: str, ends: str) -> tuple[str, str]:
    end = re.search(ends, text)
    return (text[: end.start()], text[end.start() :]) if end else (text, "")


def _path(path: str) -> Iterator[_Piece]:
    first = _PATH_SECRET.search(path)
    named, value = (path[: first.end()], path[first.end() :]) if first else (path, "")
    for part in re.split(r"(/)", named):
        yield part, bool(_LONG.search(part))
    yield value, True


def _query(query: str) -> Iterator[_Piece]:
    yield query[:1], False
    for part in re.split(r"([&;])", query[1:]):
        key = _KEY.match(part)
        if part in ("&", ";"):
            yield part, False
        elif key and not _LONG.search(key.group()):
            yield key.group(), False
            yield part[key.end() :], True
        else:
            yield part, True


def _forms(secret: str) -> Iterator[str]:
    user, _, password = secret.partition(":")
    if password:
        for first, second in ((user, password), (unquote(user), unquote(password))):
            token = base64.b64encode(f"{first}:{second}".encode("utf-8", "surrogatepass")).decode()
            yield from (token, token.rstrip("="))
    plain = {secret, user, password}
    plain |= {form for text in plain for form in (unquote(text), unquote_plus(text), unquote(unquote(text)))}
    plain |= {part for text in plain for part in (*_DELIMITERS.split(text), *_VALUE.findall(text))}
    for text in plain:
        yield from (text, text.strip(), repr(text)[1:-1], json.dumps(text)[1:-1], html.escape(text))
        yield from (quote(text, safe="", errors="surrogatepass"), quote(text, errors="surrogatepass"))
        yield quote_plus(text, errors="surrogatepass")
