"""From numbers and thresholds to pass, warn or fail."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, Protocol

from edgeseg_export.parity.thresholds import L, Thresholds
from edgeseg_runtime.errors import GateFailed

Level = Literal["pass", "warn", "fail"]


class Measured(Protocol):
    """What was measured between an original and an artifact."""

    def numbers(self) -> Iterable[tuple[str, float, str]]:
        """Return (name of the limit, measured, where): the picture or class where it is about one, else empty."""
        ...

    def notes(self) -> Iterable[str]:
        """Say what could not be judged, and why."""
        ...


@dataclass(frozen=True)
class Finding:
    """One number held against its limits."""

    limit: str
    """Name of the field of the limits."""
    what: str
    """The same in words."""
    level: Level
    measured: float
    allowed: float
    """The bound that was crossed, or, for a pass, the one that would have drawn a warning."""
    where: str = ""
    """The picture or class it was measured on, where it is about one."""

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        measured, allowed = _distinct(self.measured, self.allowed)
        bound = "at least" if self.limit.startswith("min_") else "at most"
        return f"{self.what}{place}: {measured}, allowed is {bound} {allowed}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dict(vars(self))


@dataclass(frozen=True)
class Verdict:
    """What became of every number. Points are judged by their estimate; intervals are shown and judge nothing."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    """What could not be judged, and why."""

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The numbers beyond what is allowed."""
        return tuple(finding for finding in self.findings if finding.level == "fail")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The numbers that are allowed but worth a look."""
        return tuple(finding for finding in self.findings if finding.level == "warn")

    @property
    def passed(self) -> bool:
        """Whether the artifact may be shipped."""
        return not self.failures

    @property
    def level(self) -> Level:
        """The worst of all findings."""
        return "fail" if self.failures else "warn" if self.warnings else "pass"

    def failure_lines(self) -> tuple[str, ...]:
        """Return a line for every limit that failed; of several classes the one that lost most, and how many more."""
        lines = []
        for limit in dict.fromkeys(finding.limit for finding in self.failures):
            failed = [finding for finding in self.failures if finding.limit == limit]
            worst = max(failed, key=lambda finding: finding.measured)
            more = len(failed) - 1
            lines.append(f"{worst}" + (f" ({more} more class{'es' if more > 1 else ''} too)" if more else ""))
        return tuple(lines)

    def enforce(self, name: str) -> None:
        """Raise GateFailed naming the artifact, the failing numbers and what is allowed, unless it passed."""
        if self.failures:
            raise GateFailed(f"{name} does not draw the original's masks: {'; '.join(self.failure_lines())}")

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "level": self.level,
            "passed": self.passed,
            "failures": [finding.as_dict() for finding in self.failures],
            "warnings": [finding.as_dict() for finding in self.warnings],
            "notes": list(self.notes),
        }


def judge(measured: Measured, thresholds: Thresholds[L]) -> Verdict:
    """Hold every number against its limits; what has no number becomes a note, never a silent pass."""
    findings = tuple(
        _finding(limit, value, where, thresholds) for limit, value, where in measured.numbers() if isfinite(value)
    )
    return Verdict(findings, tuple(measured.notes()))


def _finding(limit: str, measured: float, where: str, thresholds: Thresholds[L]) -> Finding:
    fail, warn = getattr(thresholds.fail, limit), getattr(thresholds.warn, limit)
    what = thresholds.fail.TITLES[limit]
    if _beyond(limit, measured, fail):
        return Finding(limit, what, "fail", measured, fail, where)
    return Finding(limit, what, "warn" if _beyond(limit, measured, warn) else "pass", measured, warn, where)


def _beyond(limit: str, measured: float, bound: float) -> bool:
    return measured < bound if limit.startswith("min_") else measured > bound


def _distinct(measured: float, allowed: float) -> tuple[str, str]:
    """Write both with as many digits as it takes to see which is larger."""
    for digits in range(4, 12):
        texts = f"{measured:.{digits}f}", f"{allowed:.{digits}f}"
        if texts[0] != texts[1]:
            break
    return texts[0], f"{allowed:g}"
