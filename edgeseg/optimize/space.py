"""What can be tried, and in which sense one try is larger than another. Pure values, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from edgeseg_runtime.errors import ConfigError

Precision = Literal["float32", "bf16", "int8", "mixed", "qat"]
"""What a file computes in; `mixed` is int8 with some layers left in float, `qat` int8 whose weights were trained with
the rounding in place."""
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

_MORE_EXACT: Mapping[Precision, tuple[Precision, ...]] = {
    "float32": (),
    "bf16": ("float32",),
    "int8": ("float32", "bf16"),
    "mixed": ("float32", "bf16"),
    "qat": ("float32", "bf16"),
}
"""Precisions whose masks are taken to be no worse, whichever engine computes them. int8 by calibration, with or
without layers in float, and int8 by training are not ordered: either may win."""


def computed_in(precision: Precision) -> Literal["float32", "bf16", "int8"]:
    """Return the arithmetic that a file says it runs in."""
    match precision:
        case "mixed" | "qat":
            return "int8"
        case _:
            return precision


def layers_in_float(count: int) -> str:
    """Say how many: `1 layer in float`."""
    return f"{count} layer{'' if count == 1 else 's'} in float"


@dataclass(frozen=True, order=True)
class Weights:
    """What has to be trained for a file, in the order in which training is paid for."""

    prune: float = 0.0
    """Share of the channels removed."""
    qat: bool = False

    @property
    def trained(self) -> bool:
        """Whether these are other weights than the run's own."""
        return self.prune > 0 or self.qat

    @property
    def lineage(self) -> tuple[Weights, ...]:
        """The trainings that lead here, in order; a pruned net is fine-tuned before it learns int8's rounding."""
        steps = (Weights(self.prune), self)
        return tuple(step for number, step in enumerate(steps) if step.trained and step not in steps[:number])

    def __str__(self) -> str:
        parts = [f"pruned {100 * self.prune:g} %"] * (self.prune > 0) + ["QAT"] * self.qat
        return " · ".join(parts) or "as trained"


@dataclass(frozen=True)
class Variant:
    """One model file in the engine that runs it: what has an accuracy."""

    resolution: float
    """Height and width of the input as a share of those it was trained at."""
    prune: float
    precision: Precision
    engine: str
    float_layers: int | None = None
    """Of `mixed`: how many layers, the most sensitive first, stay in float. None while that is not settled."""

    @property
    def weights(self) -> Weights:
        """The weights in the file."""
        return Weights(self.prune, self.precision == "qat")

    @property
    def kind(self) -> tuple[Precision, str]:
        """What a smaller or larger variant must share for their latencies to be comparable."""
        return self.precision, self.engine

    @property
    def calibrated(self) -> bool:
        """Whether its int8 ranges are measured on calibration pictures."""
        return self.precision in ("int8", "mixed")

    @property
    def name(self) -> str:
        """A name for files: `r0.75-p30-int8-openvino`, `r1-p0-mixed3-openvino`."""
        layers = "" if self.float_layers is None else f"{self.float_layers}"
        return f"r{self.resolution:g}-p{100 * self.prune:g}-{self.precision}{layers}-{self.engine}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values, without what is None."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def __str__(self) -> str:
        pruned = f"pruned {100 * self.prune:g} % · " if self.prune else ""
        layers = "" if self.float_layers is None else f" ({layers_in_float(self.float_layers)})"
        return f"{self.resolution:g}× · {pruned}{self.precision}{layers} · {self.engine}"

    def no_larger_than(self, other: Variant) -> bool:
        """Whether this is taken to be no slower than `other`: the same kind, no more pixels, no more channels.

        int8 is also no slower than mixed. Mixed files of two sizes are not ordered: the smaller may need more float.
        """
        if self.engine != other.engine or not self._no_finer_than(other):
            return False
        return (self.precision, other.precision) == ("int8", "mixed") or self._same_arithmetic(other)

    def no_better_than(self, other: Variant) -> bool:
        """Whether this is taken to score no higher than `other`: no more pixels, no more channels, no more exact.

        A pruned net is compared with a less pruned one of the same kind of training, QAT also with float.
        """
        if not self._no_finer_than(other):
            return False
        same = self.engine == other.engine and self._same_arithmetic(other)
        return same or other.precision in _MORE_EXACT[self.precision]

    def _no_finer_than(self, other: Variant) -> bool:
        return self.resolution <= other.resolution and self.prune >= other.prune

    def _same_arithmetic(self, other: Variant) -> bool:
        return self == other if self.precision == "mixed" else self.precision == other.precision


@dataclass(frozen=True)
class Trial:
    """A file, its engine and how many processor threads run it: what has a latency."""

    variant: Variant
    threads: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values, all settings side by side."""
        return {**self.variant.as_dict(), "threads": self.threads}

    def __str__(self) -> str:
        return f"{self.variant} · {self.threads} thread{'s' if self.threads > 1 else ''}"


@dataclass(frozen=True)
class Space:
    """The grid. Raises ConfigError, naming the flag, for a value outside what can be tried."""

    resolutions: tuple[float, ...] = (1.0, 0.75, 0.5)
    prunes: tuple[float, ...] = (0.0, 0.3, 0.5)
    precisions: tuple[Precision, ...] = PRECISIONS
    engines: tuple[str, ...] = ("openvino", "onnxruntime")
    threads: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        for flag in ("resolutions", "prunes", "precisions", "engines", "threads"):
            if not getattr(self, flag):
                raise ConfigError(f"--{_FLAGS.get(flag, flag)} needs at least one value")
        _each("resolutions", self.resolutions, lambda value: 0 < value <= 1, "above 0 and at most 1")
        _each("prune", self.prunes, lambda value: 0 <= value < 1, "at least 0 and below 1")
        _each("threads", self.threads, lambda value: value >= 1, "1 or more")
        for precision in self.precisions:
            if precision not in PRECISIONS:
                raise ConfigError(f"--precisions must be of {', '.join(PRECISIONS)}, got {precision}")

    def variants(self, able: Mapping[str, Sequence[str]]) -> tuple[Variant, ...]:
        """Return every file of the grid that an engine here computes; `able` maps engines to their precisions.

        Where mixed is asked for there is int8 too: it comes first, and mixed only where it is not good enough. Raises
        ConfigError when none is left.
        """
        wanted = {*self.precisions} | ({"int8"} if "mixed" in self.precisions else set())
        found = tuple(
            Variant(resolution, prune, precision, engine)
            for prune in sorted(set(self.prunes))
            for precision in PRECISIONS
            if precision in wanted
            for engine in dict.fromkeys(self.engines)
            if computed_in(precision) in able[engine]
            for resolution in sorted(set(self.resolutions), reverse=True)
        )
        if not found:
            asked = ", ".join(self.precisions)
            known = "; ".join(f"{engine}: {', '.join(able[engine])}" for engine in self.engines)
            raise ConfigError(f"--precisions {asked}: no engine here computes in it ({known})")
        return found


_FLAGS = {"prunes": "prune"}


def _each(flag: str, values: Sequence[float], allowed: Any, words: str) -> None:
    for value in values:
        if not allowed(value):
            raise ConfigError(f"--{flag} must be {words}, got {value:g}")
