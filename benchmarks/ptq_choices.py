"""Compare the ways of quantising after training: each choice × network × engine, on all labelled pictures.

    python benchmarks/ptq_choices.py runs/base/fast_scnn runs/base/unet --out benchmarks/results/ptq_choices.json

For every choice: mIoU on the run's validation pictures, points lost against the float32 file of the same engine,
share of pixels with the float32 file's class, and the seconds it took to make (the calibration runs that several
choices share are counted for each of them).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from cyclopts import Parameter

from command_line import run_command
from edgeseg.cli.console import note, progress, table
from edgeseg.cli.pictures import calibration_set, run_data
from edgeseg.data.base import IGNORE, SegmentationData
from edgeseg.training.checkpoint import load_semantic
from edgeseg_export.artifacts import package_versions
from edgeseg_export.calibration import choose
from edgeseg_export.deployable import Deployable
from edgeseg_export.likeness import Masks
from edgeseg_export.onnx_file import contract_metadata, export_onnx
from edgeseg_export.openvino_file import read_folded, save_ir
from edgeseg_export.ptq import choose_openvino, choose_ort
from edgeseg_export.quantize_openvino import OpenVinoQuantiser
from edgeseg_export.quantize_ort import OrtQuantiser, Recipe
from edgeseg_export.ranges import RULES
from edgeseg_runtime.files import write_json
from edgeseg_runtime.machine import machine_facts
from edgeseg_runtime.metrics import ConfusionMatrix
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.segmenter import Segmenter

Write = Callable[[Path], None]


@Parameter(name="*")
@dataclass(frozen=True)
class ChoicesConfig:
    """What is compared on what."""

    out: Path
    """JSON file to write."""
    calibration_count: int = 128
    """Training pictures to calibrate on; at least 64."""
    pictures: int = 0
    """Validation pictures to score on, drawn by --seed; all if not given."""
    seed: int = 0
    """Chooses the pictures."""


@dataclass(frozen=True)
class Row:
    """One choice on one network in one engine."""

    model: str
    engine: str
    choice: str
    mean_iou: float
    drop_points: float
    agreement: float
    seconds: float


def ptq_choices(runs: tuple[Path, ...], /, *, config: ChoicesConfig) -> None:
    """Quantise RUNS in every way and write the comparison."""
    rows: list[Row] = []
    for run in runs:
        rows += compare_choices(run, config)
        document = {
            "machine": machine_facts(),
            "packages": package_versions(),
            "command": " ".join(sys.argv),
            "settings": asdict(config) | {"out": str(config.out)},
            "rows": [asdict(row) for row in rows],
        }
        write_json(config.out, document)  # after every run, since each takes minutes
    headers = ["network", "engine", "choice", "mIoU %", "drop, points", "same pixels %", "seconds"]
    table("int8 after training", headers, [cells(row) for row in rows])


def compare_choices(run: Path, config: ChoicesConfig) -> Iterator[Row]:
    """Yield a row for each choice, after those of the float files."""
    module, checkpoint = load_semantic(run)
    data = run_data(checkpoint, None, None, "val_split", progress)
    indices = choose(config.pictures or len(data), len(data), config.seed)
    pictures = calibration_set(checkpoint, None, config.calibration_count, config.seed, progress=progress).pictures
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = folder / "model.onnx"
        export_onnx(module, source)
        save_ir(read_folded(source), folder / "model.xml", contract_metadata(module, "float32"))
        for engine, name in (("onnxruntime", "model.onnx"), ("openvino", "model.xml")):
            expected, base = score(folder / name, data, indices)
            yield Row(checkpoint.model, engine, "float32", base, 0.0, 1.0, 0.0)
            for choice, make in choices(engine, source, module, list(pictures)):
                started = perf_counter()
                make(folder / "int8" / name)
                seconds = perf_counter() - started
                masks, iou = score(folder / "int8" / name, data, indices)
                same = Masks().share(expected, masks)
                row = Row(checkpoint.model, engine, choice, iou, 100 * (base - iou), same, round(seconds, 1))
                note(" · ".join(cells(row)))
                yield row


def choices(engine: str, source: Path, module: Deployable, pictures: list[Image]) -> Iterator[tuple[str, Write]]:
    """Yield every choice of an engine, and, last, what export would choose."""
    if engine == "onnxruntime":
        for equalised in (False, True):
            for corrected in (False, True):
                for rule in RULES:
                    recipe = Recipe(rule, equalised, corrected)
                    yield str(recipe), _ort(source, module, pictures, recipe)

        def chosen(path: Path) -> None:
            best = choose_ort(source, module, pictures)
            best.quantiser.write(path, best.recipe)

        yield "export's choice", chosen
        return
    for equalised in (False, True):
        quantiser = OpenVinoQuantiser(source, module, pictures, equalised=equalised)
        yield f"NNCF{', equalised' if equalised else ''}", quantiser.write
    yield "export's choice", lambda path: choose_openvino(source, module, pictures, ()).quantiser.write(path)


def _ort(source: Path, module: Deployable, pictures: list[Image], recipe: Recipe) -> Write:
    def write(path: Path) -> None:
        OrtQuantiser(source, module, pictures, equalised=recipe.equalised).write(path, recipe)

    return write


def score(file: Path, data: SegmentationData, indices: list[int]) -> tuple[list[Mask], float]:
    """Return a file's masks of the pictures and its mean IoU."""
    segmenter = Segmenter.load(file)
    matrix = ConfusionMatrix(len(segmenter.contract.labels), IGNORE)
    masks = []
    for index in progress(indices, file.parent.name, len(indices)):
        sample = data.read(index)
        masks.append(segmenter(sample.image).mask.copy())
        matrix.update(sample.mask, masks[-1])
    return masks, matrix.compute().mean_iou


def cells(row: Row) -> list[Any]:
    """Return a row of the table."""
    numbers = [
        f"{100 * row.mean_iou:.2f}",
        f"{row.drop_points:+.3f}",
        f"{100 * row.agreement:.3f}",
        f"{row.seconds:.0f}",
    ]
    return [row.model, row.engine, row.choice, *numbers]


if __name__ == "__main__":
    run_command(ptq_choices)
