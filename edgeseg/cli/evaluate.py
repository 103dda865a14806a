"""`edgeseg eval`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from edgeseg.cli.console import answer_json, percent, progress, table
from edgeseg.cli.evaluate_instances import Finder, exported_finder, original_finder
from edgeseg.cli.evaluate_instances import show as show_objects
from edgeseg_runtime.errors import ConfigError, DatasetError

if TYPE_CHECKING:
    from edgeseg.data.base import SegmentationData
    from edgeseg.data.instances.base import InstanceData
    from edgeseg_export.deployable import Deployable
    from edgeseg_runtime.contract import Contract
    from edgeseg_runtime.preprocess import Image, Mask


@dataclass(frozen=True)
class EvalConfig:
    """What is scored on what."""

    data: str | None = None
    """Labelled pictures; a run's own if not given."""
    split: str | None = None
    """Split of them; a run's own validation split, or `val`, if not given."""
    format: str = "auto"
    """How the folder is laid out; `auto` recognises it, or is as the run had it where the pictures are its own."""
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
    """Score a model against labelled pictures.

    Classes of pixels: mIoU, per-class IoU, accuracy, precision, recall, F1.
    Objects: average precision of masks and boxes as COCO has it; precision,
    recall and F1 at the model's own score thresholds.

    MODEL is a run folder, a checkpoint, or any .onnx or .xml file with a contract
    inside. Masks go the deployed way and are compared at the size of the truth;
    with --scales or --flip they do not, and the scores are no device's.

    For example:

      edgeseg eval runs/camvid
      edgeseg eval runs/camvid --scales 0.75 1 1.25 --flip
      edgeseg eval runs/camvid/export/openvino-int8 --data camvid --split val --json
      edgeseg eval runs/camvid --data other --format folder
      edgeseg eval runs/people
    """
    from edgeseg_runtime.segmenter import MODEL_SUFFIXES

    config = config or EvalConfig()
    exported = model.suffix in MODEL_SUFFIXES or (model.is_dir() and not (model / "best.safetensors").exists())
    (_score_exported if exported else _score_original)(model, config)


def _score_exported(model: Path, config: EvalConfig) -> None:
    from edgeseg.data.instances.open import open_instances
    from edgeseg.data.open import open_data
    from edgeseg_runtime.segmenter import Segmenter

    if config.averages:
        raise ConfigError(f"--scales and --flip are for runs; {model} is what a device runs, at one size, one way up")
    segmenter = Segmenter.load(model, engine=config.engine)
    if config.data is None:
        raise DatasetError(f"{model} does not say what it was trained on; name labelled pictures with --data")
    split = config.split or "val"
    if segmenter.contract.task == "instance":
        objects = open_instances(config.data, split, format=config.format, skip_bad=config.skip_bad, progress=progress)
        _tell_objects(model, config, exported_finder(segmenter), segmenter.contract, objects)
    else:
        pixels = open_data(config.data, split, format=config.format, skip_bad=config.skip_bad, progress=progress)
        _tell_classes(model, config, lambda frame: segmenter(frame).mask, segmenter.contract, pixels)


def _score_original(model: Path, config: EvalConfig) -> None:
    from edgeseg_runtime.extras import require

    for package in ("torch", "torchvision", "safetensors"):
        require(package, "train")
    from edgeseg.cli.pictures import Reading, run_data, run_objects
    from edgeseg.training.checkpoint import load_deployable
    from edgeseg_export.deployable import Deployable

    module, checkpoint = load_deployable(model)
    reading = Reading(config.format, config.skip_bad)
    if isinstance(module, Deployable):
        pixels = run_data(checkpoint, config.data, config.split, "val_split", progress, reading)
        _tell_classes(model, config, _segmenter(module, checkpoint.model, config), module.contract, pixels)
        return
    if config.averages:
        raise ConfigError(f"--scales and --flip average classes of pixels; {checkpoint.model} tells objects apart")
    objects = run_objects(checkpoint, config.data, config.split, "val_split", progress, reading)
    _tell_objects(model, config, original_finder(module), module.contract, objects)


def _segmenter(module: Deployable, name: str, config: EvalConfig) -> Callable[[Image], Mask]:
    from edgeseg.models.registry import model_spec
    from edgeseg.training.views import AveragingSegmenter
    from edgeseg_export.deployable import TorchSegmenter

    if not config.averages:
        return TorchSegmenter(module)
    return AveragingSegmenter(module, config.scales or (1.0,), config.flip, model_spec(name).minimum)


def _tell_classes(
    model: Path, config: EvalConfig, segment: Callable[[Image], Mask], contract: Contract, data: SegmentationData
) -> None:
    """Score `segment`, a map from a BGR frame to a mask of its size, and print how it did."""
    from edgeseg.training.evaluate import evaluate as score

    names = contract.names
    scores = score(segment, data, names, progress)
    if config.json:
        views = {"scales": config.scales or (1.0,), "flip": config.flip} if config.averages else {}
        answer_json({"model": str(model), "pictures": len(data), **views, **scores.as_dict(names)})
        return
    columns = (scores.iou, scores.precision, scores.recall, scores.f1)
    rows = [[name, *(percent(column[index]) for column in columns)] for index, name in enumerate(names)]
    means = (scores.mean_iou, scores.mean_precision, scores.mean_recall, scores.mean_f1)
    rows.append(["mean over classes", *map(percent, means)])
    table(f"{model} on {len(data)} pictures, %", ["class", "IoU", "precision", "recall", "F1"], rows)
    print(f"pixel accuracy {percent(scores.pixel_accuracy)} %")


def _tell_objects(model: Path, config: EvalConfig, find: Finder, contract: Contract, data: InstanceData) -> None:
    """Score what is found and print how good it is, at the score thresholds that the contract holds."""
    from edgeseg.training.instances.average_precision import evaluate_instances

    assert contract.selection is not None
    scores = evaluate_instances(find, data, contract.names, progress, thresholds=contract.selection.thresholds)
    if config.json:
        answer_json({"model": str(model), "pictures": len(data), **scores.as_dict(contract.names)})
    else:
        show_objects(model, len(data), scores, contract)
