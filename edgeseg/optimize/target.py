"""Latencies of another machine, estimated from a profile that `edgeseg bench --json` made there.

Each kind of file (precision, engine, threads) is taken to be slower or faster there by one factor: the profile's
latency of that kind over the latency here of the same kind, unpruned and at full size. A mixed file is of two kinds,
int8 and float32, and the larger factor is taken.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from edgeseg.optimize.measurements import Confirmation, Estimate, Workshop
from edgeseg.optimize.space import Trial, Variant, Weights, computed_in
from edgeseg_runtime.errors import ConfigError

Kind = tuple[str, str, int]
"""Precision, engine, threads."""

_HOME = {"openvino": ".xml", "onnxruntime": ".onnx"}
"""Format whose files are made for an engine; a profile may also hold float ONNX files in OpenVINO."""


@dataclass(frozen=True)
class Profile:
    """What was measured elsewhere."""

    machine: str
    latency_ms: dict[Kind, float]

    def holds(self, trial: Trial) -> bool:
        """Whether every kind that a trial is of was measured."""
        return all(kind in self.latency_ms for kind in _kinds(trial))


def read_profile(path: Path) -> Profile:
    """Read a `bench.json`. Raises ConfigError when it is none, or holds no file that a search makes."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        machine = str(raw["machine"]["cpu"]["model"])
        found = dict(_latencies(raw["rows"]))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--target {path} cannot be read: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise ConfigError(
            f"--target {path} is not what `edgeseg bench --json` prints or leaves in bench.json ({why})"
        ) from error
    if not found:
        raise ConfigError(f"--target {path} holds no .xml file run in openvino and no .onnx file run in onnxruntime")
    return Profile(machine, found)


def _latencies(rows: Iterable[dict[str, Any]]) -> Iterable[tuple[Kind, float]]:
    seen = set()
    for row in rows:
        file, engine = row["file"], row["engine"]
        if file is None or Path(file).suffix != _HOME.get(engine):
            continue
        kind = (str(row["precision"]), str(engine), int(row["threads"]))
        latency = float(row["p50_ms"])
        if kind in seen:
            raise ValueError(
                f"several files are {kind[0]} in {kind[1]} on {kind[2]} threads; bench one export at a time"
            )
        if not (isfinite(latency) and latency > 0):
            raise ValueError(f"p50_ms is {latency}")
        seen.add(kind)
        yield kind, latency


class Scaled:
    """A Workshop whose latencies are another machine's, by ratios; the rest is as it is."""

    def __init__(self, workshop: Workshop, profile: Profile) -> None:
        self.workshop, self.profile = workshop, profile

    def factor(self, trial: Trial) -> float:
        """Return how many times longer the kind of a trial takes there; the profile must hold it."""
        return max(self._ratio(kind) for kind in _kinds(trial))

    def _ratio(self, kind: Kind) -> float:
        precision, engine, threads = kind
        plain = Variant(1.0, 0.0, precision, engine)  # type: ignore[arg-type]
        return self.profile.latency_ms[kind] / self.workshop.latency(Trial(plain, threads))

    def original(self) -> float:
        """See Workshop."""
        return self.workshop.original()

    def latency(self, trial: Trial) -> float:
        """See Workshop."""
        return self.workshop.latency(trial) * self.factor(trial)

    def train(self, weights: Weights) -> None:
        """See Workshop."""
        self.workshop.train(weights)

    def layers(self, variant: Variant) -> int:
        """See Workshop."""
        return self.workshop.layers(variant)

    def quick_score(self, variant: Variant) -> Estimate:
        """See Workshop."""
        return self.workshop.quick_score(variant)

    def score(self, variant: Variant) -> float:
        """See Workshop."""
        return self.workshop.score(variant)

    def confirm(self, trial: Trial) -> Confirmation:
        """See Workshop."""
        found = self.workshop.confirm(trial)
        return replace(found, latency_ms=found.latency_ms * self.factor(trial))


def _kinds(trial: Trial) -> list[Kind]:
    variant = trial.variant
    found = ["float32"] if variant.precision == "mixed" else []
    return [(kind, variant.engine, trial.threads) for kind in (computed_in(variant.precision), *found)]
