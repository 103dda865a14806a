"""Accuracy-aware int8: the fewest layers back in float that keep the masks within a bound, and past the gate.

Layers are put back in the order of their sensitivity, and their number is found by measuring real files.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgeseg_export.fewest import fewest
from edgeseg_export.latency import interleaved_ms
from edgeseg_export.parity.gate import Gate
from edgeseg_export.ptq import hold_back
from edgeseg_export.sensitivity import cached_sensitivity
from edgeseg_runtime.errors import GateFailed
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.progress import Progress, silent
from edgeseg_runtime.segmenter import Segmenter

RANKED_ON = 16
"""Pictures that layers are ranked on."""

Build = Callable[[Path, Sequence[str]], None]
"""Writes an int8 file whose layers of these names stay in float."""


@dataclass(frozen=True)
class Trial:
    """One file that was measured."""

    float_layers: int
    drop: float
    passed: bool
    """Whether the parity gate let it through."""


@dataclass(frozen=True)
class Found:
    """The file that holds the bound with the fewest layers in float, as measured."""

    float_layers: tuple[str, ...]
    drop: float
    trials: tuple[Trial, ...]
    """In the order they were made."""


def fewest_float_layers(
    rank: Callable[[], Sequence[str]], evaluate: Callable[[tuple[str, ...]], tuple[float, bool]], max_drop: float
) -> Found:
    """Return the shortest beginning of the ranking, in float, that loses `max_drop` at most and passes: see `fewest`.

    `evaluate` tells the drop, and whether the parity gate lets the file through. `rank` is asked for the layers, most
    sensitive first, only if some have to be put back. Raises GateFailed naming the nearest trial when not even all of
    them will do.
    """
    ranking: Sequence[str] = ()
    trials: list[Trial] = []

    def holds(count: int) -> bool:
        drop, passed = evaluate(tuple(ranking[:count]))
        trials.append(Trial(count, drop, passed))
        return passed and drop <= max_drop

    if holds(0):
        return Found((), trials[0].drop, tuple(trials))
    ranking = rank()
    count = fewest(holds, len(ranking))
    if count is None:
        nearest = min(trials, key=lambda trial: trial.drop)
        refused = "" if nearest.passed else ", and the parity gate refuses it"
        raise GateFailed(
            f"the nearest loses {nearest.drop:.3f} with {nearest.float_layers} of {len(ranking)} layers in float, "
            f"allowed is {max_drop:g}{refused}"
        )
    drop = next(trial.drop for trial in trials if trial.float_layers == count)
    return Found(tuple(ranking[:count]), drop, tuple(trials))


def ranking_of(
    float_file: Path, int8_file: Path, calibration: Sequence[Image], folder: Path, progress: Progress = silent
) -> tuple[str, ...]:
    """Return the layers of a float ONNX file and its int8 twin, most sensitive first; kept below `folder`.

    Ranked on some of the calibration pictures, which are others than those a bound is measured on.
    """
    frames = hold_back(calibration)[1][:RANKED_ON]
    return cached_sensitivity(folder, float_file, int8_file, frames, progress)[0].ranking


@dataclass(frozen=True)
class Mixed:
    """A file with layers put back to float, and what that gained and cost."""

    max_drop: float
    unit: str
    """What drops are counted in, such as `mIoU points`."""
    drop: float
    int8_drop: float
    """With every layer in int8."""
    float_layers: tuple[str, ...]
    trials: tuple[Trial, ...]
    p50_ms: Mapping[str, float] = field(default_factory=dict)
    """Median time of a frame, from picture to mask: of `float32`, `int8` and `mixed`, measured in turns."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        times = ", ".join(f"{name} {value:.2f}" for name, value in self.p50_ms.items())
        kept = f"{len(self.float_layers)} layers in float" if self.float_layers else "every layer in int8"
        before = f" instead of {self.int8_drop:.2f}" if self.float_layers else ""
        refused = "" if self.trials[0].passed else ", and the gate refuses int8 alone"
        return f"{kept}, drop {self.drop:.2f}{before} {self.unit} (allowed {self.max_drop:g}{refused}); {times} ms"


@dataclass(frozen=True)
class MixedSearch:
    """Finds a mixed file for each engine, all held against the same pictures and bound."""

    gate: Gate
    max_drop: float
    rank: Callable[[Path, Path], Sequence[str]]
    """From the float ONNX file and its int8 twin to the names of the layers, most sensitive first."""

    def settle(self, build: Build, rank: Callable[[], Sequence[str]], float_file: Path, path: Path) -> Mixed:
        """Write the file `path` in a folder that is not there yet, and return what was found.

        `float_file` is the same engine's float32. Raises GateFailed when the bound cannot be met.
        """
        name, unit = path.parent.name, ""
        with tempfile.TemporaryDirectory() as folder:
            built: dict[int, Path] = {}

            def evaluate(layers: tuple[str, ...]) -> tuple[float, bool]:
                nonlocal unit
                file = built[len(layers)] = Path(folder) / str(len(layers)) / path.name
                build(file, layers)
                entry = self.gate.examine(f"{name}, {len(layers)} layers in float", Segmenter.load(file))
                drop, unit = self.gate.drop(entry.comparison)
                return drop, entry.verdict.passed

            try:
                found = fewest_float_layers(rank, evaluate, self.max_drop)
            except GateFailed as error:
                raise GateFailed(
                    f"{name}: no mix of int8 and float layers is near enough, in {unit}: {error}"
                ) from error
            chosen = built[len(found.float_layers)]
            files = {"float32": float_file, "int8": built[0], "mixed": chosen}
            if not found.float_layers:
                del files["mixed"]
            p50 = interleaved_ms({key: Segmenter.load(file) for key, file in files.items()}, self.gate.frame)
            path.parent.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(chosen.parent, path.parent)
        return Mixed(self.max_drop, unit, found.drop, found.trials[0].drop, found.float_layers, found.trials, p50)
