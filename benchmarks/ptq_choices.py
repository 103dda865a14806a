"""Compare the ways of quantising after training: each choice × network × engine, on all labelled pictures.

    python benchmarks/ptq_choices.py runs/base/fast_scnn runs/base/unet

For every choice: mIoU on the run's validation pictures, points lost against the float32 file of the same engine,
share of pixels with the float32 file's class, and the seconds it took to make (the calibration runs that several
choices share are counted for each of them). Runs that the file holds already are replaced, others stay; without a run
the table of the file is printed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from cyclopts import Parameter

from command_line import run_command
from edgeseg.cli.console import note, progress
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
from edgeseg_runtime.errors import UserError
from edgeseg_runtime.files import write_json
from edgeseg_runtime.machine import machine_facts
from edgeseg_runtime.metrics import ConfusionMatrix
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.segmenter import Segmenter
from run_facts import read_left

Write = Callable[[Path], None]
RESULT = Path(__file__).parent / "results" / "ptq_choices.json"
FLOAT = "float32"
CHOSEN = "export's choice"


@Parameter(name="*")
@dataclass(frozen=True)
class ChoicesConfig:
    """What is compared on what."""

    out: Path = RESULT
    """JSON file to write, or to add to."""
    calibration_count: int = 128
    """Training pictures to calibrate on; at least 64."""
    pictures: int = 0
    """Validation pictures to score on, drawn by --seed; all if not given."""
    seed: int = 0
    """Chooses the pictures."""


@dataclass(frozen=True)
class Row:
    """One choice on one network in one engine."""

    engine: str
    choice: str
    mean_iou: float
    drop_points: float
    agreement: float
    seconds: float


def ptq_choices(*runs: Path, config: ChoicesConfig | None = None) -> None:
    """Quantise RUNS in every way and print points lost by each as Markdown."""
    config = config or ChoicesConfig()
    document = read_left(config.out) if config.out.is_file() else {}
    for run in runs:
        rows = list(compare_choices(run, config))
        settings = asdict(config)
        document[run.name] = {
            "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "machine": machine_facts(),
            "packages": package_versions(),
            "settings": {key: settings[key] for key in ("calibration_count", "pictures", "seed")},
            "rows": [asdict(row) for row in rows],
        }
        write_json(config.out, document)  # after every run, since each takes minutes
    if not document:
        raise UserError(f"{config.out} holds no run yet; name some (--help)")
    print(markdown(document))


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
            yield Row(engine, FLOAT, base, 0.0, 1.0, 0.0)
            for choice, make, shared in choices(engine, source, module, list(pictures)):
                started = perf_counter()
                make(folder / "int8" / name)
                seconds = shared + perf_counter() - started
                masks, iou = score(folder / "int8" / name, data, indices)
                same = Masks().share(expected, masks)
                note(f"{run.name}, {engine}, {choice}: {100 * iou:.2f} % mIoU, {100 * same:.2f} % the same pixels")
                yield Row(engine, choice, iou, 100 * (base - iou), same, round(seconds, 1))


def choices(engine: str, source: Path, module: Deployable, pictures: list[Image]) -> Iterator[tuple[str, Write, float]]:
    """Yield every choice of an engine, and, last, what export would choose.

    With each come the seconds that were already spent on it, together with others.
    """
    if engine == "onnxruntime":
        for equalised in (False, True):
            started = perf_counter()
            quantiser = OrtQuantiser(source, module, pictures, equalised=equalised)
            shared = perf_counter() - started
            for corrected in (False, True):
                for rule in RULES:
                    recipe = Recipe(rule, equalised, corrected)
                    yield str(recipe), partial(quantiser.write, recipe=recipe), shared

        def chosen(path: Path) -> None:
            best = choose_ort(source, module, pictures)
            best.quantiser.write(path, best.recipe)

        yield CHOSEN, chosen, 0.0
        return
    for equalised in (False, True):
        started = perf_counter()
        openvino = OpenVinoQuantiser(source, module, pictures, equalised=equalised)
        yield f"NNCF{', equalised' if equalised else ''}", openvino.write, perf_counter() - started
    yield CHOSEN, lambda path: choose_openvino(source, module, pictures, ()).quantiser.write(path), 0.0


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


def markdown(document: dict[str, Any]) -> str:
    """Return the points of mIoU that each choice loses, a column for each run."""
    found = {
        (row["engine"], row["choice"]): dict.fromkeys(document, "–") for of in document.values() for row in of["rows"]
    }
    for run, of in document.items():
        for row in of["rows"]:
            is_float = row["choice"] == FLOAT
            cell = f"{100 * row['mean_iou']:.2f} %" if is_float else f"{row['drop_points']:.2f}"
            found[row["engine"], row["choice"]][run] = cell
    head = ["engine", "choice", *document]
    lines = [[*key, *cells.values()] for key, cells in found.items()]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *lines])


if __name__ == "__main__":
    run_command(ptq_choices)
