"""`edgeseg eval`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from edgeseg.cli.console import answer_json, progress, table
from edgeseg_runtime.errors import ConfigError, DatasetError

if TYPE_CHECKING:
    from edgeseg.data.base import SegmentationData
    from edgeseg_runtime.preprocess import Image, Mask


@dataclass(frozen=True)
class EvalConfig:
    """What is scored on what."""

    data: str | None = None
    """Labelled pictures; a run's own if not given."""
    split: str | None = None
    """Split of them; a run's own validation split, or `val`, if not given."""
    engine: str | None = None
    """For exported files: onnxruntime or openvino; the format's own if not given."""
    skip_bad: bool = False
    """Go on without pictures that cannot be used."""
    scales: Annotated[tuple[float, ...], Parameter(consume_multiple=True, show_default=False)] = ()
    """Average the answers to each picture at these multiples of the input size, such as `0.75 1 1.25`; runs only."""
    flip: bool = False
    """Average the answers to each picture and its mirror image; runs only."""
    json: bool = False
    """Print every number, the confusion matrix too, as JSON."""

    @property
    def averages(self) -> bool:
        """Whether a picture is looked at in more than one way."""
        return bool(self.scales) or self.flip


def evaluate(model: Path, /, *, config: Annotated[EvalConfig, Parameter(name="*")] | None = None) -> None:
    """Score a model against labelled pictures: mIoU, per-class IoU, accuracy, precision, recall, F1.

    MODEL is a run folder, a checkpoint, or any .onnx or .xml file with a contract
    inside. Masks go the deployed way and are compared at the size of the truth;
    with --scales or --flip they do not, and the scores are no device's.

    For example:

      edgeseg eval runs/camvid
      edgeseg eval runs/camvid --scales 0.75 1 1.25 --flip
      edgeseg eval runs/camvid/export/openvino-int8 --data camvid --split val --json
    """
    from edgeseg.training.evaluate import evaluate as score
    from edgeseg_runtime.segmenter import MODEL_SUFFIXES

    config = config or EvalConfig()
    exported = model.suffix in MODEL_SUFFIXES or (model.is_dir() and not (model / "best.safetensors").exists())
    segment, names, data = _exported(model, config) if exported else _original(model, config)
    scores = score(segment, data, names, progress)
    if config.json:
        views = {"scales": config.scales or (1.0,), "flip": config.flip} if config.averages else {}
        answer_json({"model": str(model), "pictures": len(data), **views, **scores.as_dict(names)})
        return
    columns = (scores.iou, scores.precision, scores.recall, scores.f1)
    rows = [[name, *(_percent(column[index]) for column in columns)] for index, name in enumerate(names)]
    means = (scores.mean_iou, scores.mean_precision, scores.mean_recall, scores.mean_f1)
    rows.append(["mean over classes", *map(_percent, means)])
    table(f"{model} on {len(data)} pictures, %", ["class", "IoU", "precision", "recall", "F1"], rows)
    print(f"pixel accuracy {_percent(scores.pixel_accuracy)} %")


def _exported(model: Path, config: EvalConfig) -> tuple[Callable[[Image], Mask], tuple[str, ...], SegmentationData]:
    from edgeseg.data.open import open_data
    from edgeseg_runtime.segmenter import Segmenter

    if config.averages:
        raise ConfigError(f"--scales and --flip are for runs; {model} is what a device runs, at one size, one way up")
    segmenter = Segmenter.load(model, engine=config.engine)
    if config.data is None:
        raise DatasetError(f"{model} does not say what it was trained on; name labelled pictures with --data")
    data = open_data(config.data, config.split or "val", skip_bad=config.skip_bad, progress=progress)
    return lambda frame: segmenter(frame).mask, segmenter.contract.names, data


def _original(model: Path, config: EvalConfig) -> tuple[Callable[[Image], Mask], tuple[str, ...], SegmentationData]:
    from edgeseg_runtime.extras import require

    for package in ("torch", "torchvision", "safetensors"):
        require(package, "train")
    from edgeseg.cli.pictures import run_data
    from edgeseg.training.checkpoint import load_deployable
    from edgeseg_export.deployable import TorchSegmenter

    module, checkpoint = load_deployable(model)
    data = run_data(checkpoint, config.data, config.split, "val_split", progress)
    if not config.averages:
        return TorchSegmenter(module), module.contract.names, data
    from edgeseg.models.registry import model_spec
    from edgeseg.training.views import AveragingSegmenter

    segment = AveragingSegmenter(module, config.scales or (1.0,), config.flip, model_spec(checkpoint.model).minimum)
    return segment, module.contract.names, data


def _percent(value: float) -> str:
    return "–" if value != value else f"{100 * value:.2f}"
