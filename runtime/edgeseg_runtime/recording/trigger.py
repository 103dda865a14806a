"""When to record: `person>5%`, `car >= 0.2 and "traffic light" > 0`, with `or` and parentheses.

::

    either     = both { "or" both }
    both       = one { "and" one }
    one        = comparison | "(" either ")"
    comparison = class ( ">" | "<" | ">=" | "<=" ) amount
    class      = word | "'" any "'" | '"' any '"'      a quote inside quotes is written twice
    amount     = number "%" | number                   percent of the picture, or its share in 0..1
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgeseg_runtime.errors import ConfigError

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<operator>[<>]=?)
      | (?P<bracket>[()])
      | (?P<amount>(?:\d+(?:\.\d*)?|\.\d+)\s*%?(?![\w.]))
      | (?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*")
      | (?P<word>[\w-][\w./-]*)
    )""",
    re.VERBOSE,
)
_WORDS = ("and", "or")
_DEEPEST = 50


class Condition(Protocol):
    """What has to hold for the areas of a mask. `str` gives text that `parse_trigger` reads back equal."""

    def holds(self, area: Mapping[str, float]) -> bool:
        """Tell whether it holds for shares of the picture (0..1) by class name."""
        ...

    @property
    def classes(self) -> frozenset[str]:
        """The classes it speaks of."""
        ...


@dataclass(frozen=True)
class Comparison:
    """One class against one amount."""

    name: str
    sign: str
    amount: str
    """As it was written: a number, or a number and a percent sign."""

    @property
    def share(self) -> float:
        """The amount as a share of the picture, 0..1."""
        number = self.amount.rstrip("% ")
        return float(number) / 100 if self.amount.endswith("%") else float(number)

    @property
    def classes(self) -> frozenset[str]:
        """The one class."""
        return frozenset((self.name,))

    def holds(self, area: Mapping[str, float]) -> bool:
        """Compare. A class that the model does not have is neither above nor below anything."""
        return self.name in area and _COMPARE[self.sign](area[self.name], self.share)

    def __str__(self) -> str:
        quoted = '"' + self.name.replace('"', '""') + '"'
        return f"{quoted} {self.sign} {self.amount}"


@dataclass(frozen=True)
class Joined:
    """Several conditions joined by `and` or by `or`."""

    word: str
    parts: tuple[Condition, ...]

    @property
    def classes(self) -> frozenset[str]:
        """Every class any part speaks of."""
        return frozenset[str]().union(*(part.classes for part in self.parts))

    def holds(self, area: Mapping[str, float]) -> bool:
        """Tell whether all (`and`) or any (`or`) of the parts hold."""
        return (all if self.word == "and" else any)(part.holds(area) for part in self.parts)

    def __str__(self) -> str:
        return f" {self.word} ".join(f"({part})" if isinstance(part, Joined) else str(part) for part in self.parts)


def parse_trigger(text: str, known: Sequence[str]) -> Condition:
    """Read a condition on the classes `known`.

    Raises ConfigError, which names the position (from 1) and, for a class that the model does not have, those it has.
    """
    return _Parser(text, known).parse()


class _Parser:
    """Recursive descent over the tokens, one rule of the grammar a method."""

    def __init__(self, text: str, known: Sequence[str]) -> None:
        self._text, self._known = text, tuple(known)
        self._kind, self._token, self._at, self._next = "", "", 0, 0
        self._depth = 0
        self._advance()

    def parse(self) -> Condition:
        condition = self._joined("or")
        if self._kind != "end":
            raise self._error("'and', 'or' or the end")
        return condition

    def _joined(self, word: str) -> Condition:
        part = self._both if word == "or" else self._one
        parts = [part()]
        while self._kind == "word" and self._token == word:
            self._advance()
            parts.append(part())
        return parts[0] if len(parts) == 1 else Joined(word, tuple(parts))

    def _both(self) -> Condition:
        return self._joined("and")

    def _one(self) -> Condition:
        if self._token != "(" or self._kind != "bracket":
            return self._comparison()
        if self._depth == _DEEPEST:
            raise self._error(f"at most {_DEEPEST} brackets within each other")
        self._depth += 1
        self._advance()
        condition = self._joined("or")
        if self._token != ")" or self._kind != "bracket":
            raise self._error("')'")
        self._depth -= 1
        self._advance()
        return condition

    def _comparison(self) -> Condition:
        name = self._class_name()
        if self._kind != "operator":
            raise self._error("one of > < >= <= (quote a class whose name has spaces)")
        sign = self._token
        self._advance()
        if self._kind != "amount":
            raise self._error("an amount such as 5% or 0.05")
        comparison = Comparison(name, sign, re.sub(r"\s", "", self._token))
        if not 0 <= comparison.share <= 1:
            hint = "" if comparison.amount.endswith("%") else f"; for percent write {comparison.amount}%"
            raise self._error(f"an amount in 0%..100% (or a share in 0..1{hint})")
        self._advance()
        return comparison

    def _class_name(self) -> str:
        if self._kind == "quoted":
            quote = self._token[0]
            name = self._token[1:-1].replace(quote * 2, quote)
        elif self._kind in ("word", "amount") and self._token not in _WORDS:
            name = self._token  # a class may be called 7
        else:
            raise self._error("a class")
        if name not in self._known:
            raise self._error(f"one of the model's classes ({', '.join(self._known)})")
        self._advance()
        return name

    def _advance(self) -> None:
        found = _TOKEN.match(self._text, self._next)
        if found is None:
            rest = self._text[self._next :]
            self._at = self._next + len(rest) - len(rest.lstrip())
            self._kind, self._token = ("other", self._text[self._at]) if rest.strip() else ("end", "")
            return
        self._kind = str(found.lastgroup)
        self._token, self._at, self._next = found[self._kind], found.start(self._kind), found.end()

    def _error(self, wanted: str) -> ConfigError:
        got = "nothing more" if self._kind == "end" else repr(self._token)
        return ConfigError(f"trigger {self._text!r}, position {self._at + 1}: expected {wanted}, got {got}")
