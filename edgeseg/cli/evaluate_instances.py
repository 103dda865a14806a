"""What `edgeseg eval` does with models that tell objects apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg.cli.console import percent, table

if TYPE_CHECKING:
    from edgeseg.training.instances.average_precision import AveragePrecision, InstanceScores
    from edgeseg_export.instances.deployable import InstanceDeployable
    from edgeseg_runtime.contract import Contract
    from edgeseg_runtime.instances.result import InstanceResult
    from edgeseg_runtime.preprocess import Image
    from edgeseg_runtime.segmenter import Segmenter

Finder = Callable[["Image"], "InstanceResult"]
"""From a BGR frame to the objects in it, those with low scores too."""


def exported_finder(segmenter: Segmenter) -> Finder:
    """Return what an exported file finds."""
    from edgeseg_runtime.instances.decode import InstanceDecoder

    lane, decode = segmenter.lane(), InstanceDecoder(segmenter.contract, _low(segmenter.contract))

    def find(frame: Image) -> InstanceResult:
        return decode(lane.infer(lane.preprocess(frame)), frame.shape[0], frame.shape[1])

    return find


def original_finder(module: InstanceDeployable) -> Finder:
    """Return what the network of a run finds."""
    from edgeseg_export.instances.deployable import TorchInstanceSegmenter

    return TorchInstanceSegmenter(module, thresholds=_low(module.contract))


def show(model: Path, pictures: int, scores: InstanceScores, contract: Contract) -> None:
    """Print the scores as two tables: of each class, and over classes of each size."""
    rows = []
    for name, mask, box, point in zip(
        contract.names, scores.mask.classes, scores.box.classes, scores.points, strict=True
    ):
        shares = [percent(value) for value in (mask, box, point.precision, point.recall, point.f1)]
        rows.append([name, str(point.objects), *shares, f"{point.threshold:.2f}"])
    numbers = scores.numbers()
    means = [numbers[name] for name in ("mask_ap", "box_ap", "mean_precision", "mean_recall", "mean_f1")]
    rows.append(["mean over classes", str(sum(point.objects for point in scores.points)), *map(percent, means), ""])
    headers = ["class", "objects", "mask AP", "box AP", "precision", "recall", "F1", "from score"]
    table(f"{model} on {pictures} pictures, %", headers, rows)
    sizes = [[kind, *map(percent, _parts(one))] for kind, one in (("masks", scores.mask), ("boxes", scores.box))]
    table("by the IoU of", ["", "AP", "AP50", "AP75", "small", "medium", "large"], sizes)


def _parts(one: AveragePrecision) -> tuple[float, ...]:
    return one.ap, one.ap50, one.ap75, one.small, one.medium, one.large


def _low(contract: Contract) -> tuple[float, ...]:
    from edgeseg.training.instances.average_precision import FLOOR

    return (FLOOR,) * len(contract.labels)
