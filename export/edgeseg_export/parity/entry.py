"""A file that was judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from edgeseg_export.parity.verdict import Measured, Verdict


class Shown(Measured, Protocol):
    """A comparison that is written down. As a string: its one most telling number."""

    def as_dict(self) -> dict[str, Any]:
        """Return every number as plain JSON values."""
        ...


C = TypeVar("C", bound=Shown)


@dataclass(frozen=True)
class Entry(Generic[C]):
    """An artifact that was judged."""

    name: str
    """What a person calls it, for example `onnx-int8`."""
    comparison: C
    verdict: Verdict

    def document(self) -> dict[str, Any]:
        """Return the verdict and every number as plain JSON values."""
        return {"verdict": self.verdict.as_dict(), **self.comparison.as_dict()}
