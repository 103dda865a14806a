"""How much of what a model shows changes when one layer alone is int8.

Measured on masks or objects, because that is what is shipped: an error of the weights, or of the scores, may or may not
move a class boundary.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from edgeseg_export.layers import find_layers
from edgeseg_export.likeness import likeness_of
from edgeseg_export.quantize_ort import RECIPE_KEY, prepare
from edgeseg_export.single_layer import read_rounding, round_one
from edgeseg_runtime.contract import OUTPUTS, UNBATCHED
from edgeseg_runtime.errors import ConfigError, ModelFileError
from edgeseg_runtime.files import sha256, write_json
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.progress import Progress, silent
from edgeseg_runtime.segmenter import Segmenter

SCHEMA = 2
SCORES = "scores"
"""The output whose error is told in dB."""


@dataclass(frozen=True)
class LayerSensitivity:
    """What int8 in one layer does to the masks or objects."""

    name: str
    """See `layers.Layer`."""
    kind: str
    disagreement: float
    """How far (0..1) the results are from being the float model's, mean over pictures: see `Likeness.unlike`."""
    worst: float
    """The same, on the picture where it is largest."""
    sqnr_db: float | None
    """Scores' power over the power of their error, in dB; None for files without a score a place, or any error."""


@dataclass(frozen=True)
class Sensitivity:
    """Every int8 layer of a file, most sensitive first."""

    pictures: int
    recipe: str
    """What the int8 file says of how it was made, as JSON."""
    rows: tuple[LayerSensitivity, ...]

    @property
    def ranking(self) -> tuple[str, ...]:
        """Names of the layers, most sensitive first."""
        return tuple(row.name for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Sensitivity:
        """Build from what `as_dict` gave."""
        return cls(raw["pictures"], raw["recipe"], tuple(LayerSensitivity(**row) for row in raw["rows"]))


def measure_sensitivity(
    float_file: Path, int8_file: Path, frames: Sequence[Image], progress: Progress = silent
) -> Sensitivity:
    """Run the float ONNX file on `frames` once for every layer that its int8 QDQ twin rounds.

    Both files as the exporter writes them. Raises ConfigError without frames, ModelFileError for files that do not
    belong together.
    """
    if not frames:
        raise ConfigError("sensitivity is measured on pictures; give at least one")
    int8 = onnx.load(int8_file)
    about = {item.key: item.value for item in int8.metadata_props}
    if RECIPE_KEY not in about:
        raise ModelFileError(f"{int8_file} does not say how it was quantised; make it with this version's export")
    base = prepare(float_file, equalised=bool(json.loads(about[RECIPE_KEY])["recipe"]["equalised"]))
    rounding = read_rounding(int8, base)
    layers = find_layers(base)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        original = _Probe(float_file, frames)
        for layer in progress(layers, "layer by layer", len(layers)):
            variant = round_one(base, rounding, layer)
            if variant is None:
                continue
            path = Path(folder) / "layer.onnx"
            onnx.save(variant, path)
            rows.append(LayerSensitivity(layer.name, layer.kind, *original.differences(_Probe(path, frames))))
    rows.sort(key=lambda row: (-row.disagreement, row.sqnr_db if row.sqnr_db is not None else float("inf")))
    return Sensitivity(len(frames), about[RECIPE_KEY], tuple(rows))


class _Probe:
    """What a file gives for each frame: its result at the model's resolution, and its scores if each has its place."""

    def __init__(self, file: Path, frames: Sequence[Image]) -> None:
        segmenter = Segmenter.load(file)
        lane, contract = segmenter.lane(), segmenter.contract
        self.alike = likeness_of(contract)
        decode, outputs = self.alike.decoder(contract), OUTPUTS[contract.output]
        # of detections the n-th is another object in another file
        scored = SCORES in outputs and contract.output not in UNBATCHED
        self.results: list[Any] = []
        self.scores: list[npt.NDArray[np.float32]] = []
        for frame in frames:
            raw = lane.infer(lane.preprocess(frame))
            self.results.append(decode(raw, *contract.size))
            if scored:
                self.scores.append(raw[outputs.index(SCORES)].copy())

    def differences(self, other: _Probe) -> tuple[float, float, float | None]:
        """Return mean and worst disagreement of the results, and the SQNR of the scores in dB."""
        pairs = zip(self.results, other.results, strict=True)
        shares = [self.alike.unlike(mine, theirs) for mine, theirs in pairs]
        return float(np.mean(shares)), max(shares), _sqnr_db(self.scores, other.scores)


def _sqnr_db(reference: Sequence[npt.NDArray[np.float32]], other: Sequence[npt.NDArray[np.float32]]) -> float | None:
    signal = sum(float(np.square(mine, dtype=np.float64).sum()) for mine in reference)
    pairs = zip(reference, other, strict=True)
    noise = sum(float(np.square(mine - theirs, dtype=np.float64).sum()) for mine, theirs in pairs)
    return None if noise == 0 or signal == 0 else 10 * float(np.log10(signal / noise))


def cached_sensitivity(
    folder: Path, float_file: Path, int8_file: Path, frames: Sequence[Image], progress: Progress = silent
) -> tuple[Sensitivity, Path]:
    """Return the sensitivity and the JSON file below `folder` that holds it; measured only if it is not there yet."""
    path = folder / f"{cache_key(float_file, int8_file, frames)}.json"
    if path.is_file():
        try:
            return Sensitivity.from_dict(json.loads(path.read_text(encoding="utf-8"))), path
        except (ValueError, KeyError, TypeError):  # damaged
            pass
    found = measure_sensitivity(float_file, int8_file, frames, progress)
    write_json(path, found.as_dict())
    return found, path


def cache_key(float_file: Path, int8_file: Path, frames: Sequence[Image]) -> str:
    """Return a hash of everything the measurement depends on: both files (and so the calibration) and the pixels."""
    digest = hashlib.sha256(f"{SCHEMA} {sha256(float_file)} {sha256(int8_file)}".encode())
    for frame in frames:
        digest.update(str(frame.shape).encode())
        digest.update(frame.tobytes())
    return digest.hexdigest()[:16]
