"""From numbers and thresholds to pass, warn or fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from edgeseg_export.parity.comparison import Comparison
from edgeseg_export.parity.thresholds import Thresholds
from edgeseg_runtime.errors import GateFailed

Level = Literal["pass", "warn", "fail"]

FEW_PICTURES = 20
"""Below this many pictures a verdict stands on thin ground, and says so."""

TITLES = {
    "min_agreement": "pixel agreement, mean over pictures",
    "min_worst_agreement": "pixel agreement, worst picture",
    "min_edge_agreement": "pixel agreement near class edges",
    "max_miou_drop": "mIoU drop, points",
    "max_class_drop": "IoU drop of a class, points",
    "max_boundary_drop": "boundary F drop, points",
}
"""What each limit holds against, in words."""


@dataclass(frozen=True)
class Finding:
    """One number held against its limits."""

    limit: str
    """Name of the field of `Limits`."""
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
        return f"{TITLES[self.limit]}{place}: {measured}, allowed is {bound} {allowed}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"what": TITLES[self.limit], **vars(self)}


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
        for limit in TITLES:
            failed = [finding for finding in self.failures if finding.limit == limit]
            if failed:
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


def judge(comparison: Comparison, thresholds: Thresholds) -> Verdict:
    """Hold every number against its limits; what has no number becomes a note, never a silent pass."""
    findings = tuple(
        _finding(limit, measured, where, thresholds)
        for limit, measured, where in _numbers(comparison)
        if np.isfinite(measured)
    )
    return Verdict(findings, tuple(_notes(comparison)))


def _numbers(comparison: Comparison) -> Iterator[tuple[str, float, str]]:
    """Yield (limit, measured, where)."""
    yield "min_agreement", comparison.mean_agreement, ""
    yield "min_worst_agreement", float(comparison.agreement.min()), comparison.pictures[comparison.worst_picture]
    yield "min_edge_agreement", comparison.edge_agreement, ""
    pair = comparison.accuracy
    if pair is None:
        return
    yield "max_miou_drop", pair.miou_drop, ""
    yield "max_boundary_drop", pair.boundary_drop, ""
    for name, drop, judged in zip(comparison.labels, pair.class_drops, pair.judged, strict=True):
        if judged:
            yield "max_class_drop", float(drop), name


def _finding(limit: str, measured: float, where: str, thresholds: Thresholds) -> Finding:
    fail, warn = getattr(thresholds.fail, limit), getattr(thresholds.warn, limit)
    if _beyond(limit, measured, fail):
        return Finding(limit, "fail", measured, fail, where)
    return Finding(limit, "warn" if _beyond(limit, measured, warn) else "pass", measured, warn, where)


def _beyond(limit: str, measured: float, bound: float) -> bool:
    return measured < bound if limit.startswith("min_") else measured > bound


def _notes(comparison: Comparison) -> Iterator[str]:
    if len(comparison.pictures) < FEW_PICTURES:
        yield f"only {len(comparison.pictures)} pictures were compared; a verdict on fewer than {FEW_PICTURES} is weak"
    if np.isnan(comparison.edge_agreement):
        yield "every mask of the original holds a single class: there were no class edges to compare"
    pair = comparison.accuracy
    if pair is None:
        yield "no picture came with truth: accuracy was not judged, only whether the masks are the same"
        return
    missing = [name for name, judged in zip(comparison.labels, pair.judged, strict=True) if not judged]
    if missing:
        settings = comparison.settings
        yield (
            f"no verdict on {', '.join(missing)}: fewer than {settings.min_class_pixels} true pixels "
            f"or on fewer than {settings.min_class_pictures} pictures"
        )


def _distinct(measured: float, allowed: float) -> tuple[str, str]:
    """Write both with as many digits as it takes to see which is larger."""
    for digits in range(4, 12):
        texts = f"{measured:.{digits}f}", f"{allowed:.{digits}f}"
        if texts[0] != texts[1]:
            break
    return texts[0], f"{allowed:g}"
