"""The parity gate of a run: which one its task has, on which pictures, within which bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeVar

from edgeseg.cli.console import progress
from edgeseg_export.instances.parity.limits import InstanceOverrides
from edgeseg_export.parity.comparison import Sampling, Settings
from edgeseg_export.parity.thresholds import Overrides
from edgeseg_runtime.errors import ConfigError

if TYPE_CHECKING:
    from edgeseg.data.instances.base import InstanceData
    from edgeseg.training.checkpoint import Checkpoint
    from edgeseg_export.deployable import Deployable
    from edgeseg_export.instances.deployable import InstanceDeployable
    from edgeseg_export.instances.parity.gate import ObjectGate
    from edgeseg_export.instances.parity.objects import InstancePicture
    from edgeseg_export.parity.gate import Gate, MaskGate

T = TypeVar("T")


@dataclass(frozen=True)
class Bounds:
    """What was said of the gate, for either task."""

    masks: Overrides
    objects: InstanceOverrides
    measure: Settings


@dataclass(frozen=True)
class Where:
    """Labelled pictures to compare on; None where they are the run's own."""

    data: str | None
    split: str | None


class LabelledObjects:
    """A data set of objects as the parity gate walks through it."""

    def __init__(self, data: InstanceData) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> InstancePicture:
        from edgeseg_export.instances.parity.objects import InstancePicture

        sample = self.data.read(index)
        return InstancePicture(self.data.name(index), sample.image, sample.instances)


def gate_of(
    module: Deployable | InstanceDeployable, checkpoint: Checkpoint, where: Where, bounds: Bounds
) -> Callable[[], Gate]:
    """Open the pictures that a run's files are compared on, and return what runs the original on them.

    Raises ConfigError for bounds of the other task, DatasetError for pictures that will not do.
    """
    from edgeseg_export.deployable import Deployable

    if isinstance(module, Deployable):
        _forbid(bounds.objects, InstanceOverrides(), f"is about objects; {checkpoint.model} tells none apart")
        return _mask_gate(module, checkpoint, where, bounds)
    _forbid(bounds.masks, Overrides(), f"is about classes of pixels; {checkpoint.model} tells objects apart")
    own = Settings(resamples=bounds.measure.resamples, seed=bounds.measure.seed, examples=bounds.measure.examples)
    _forbid(bounds.measure, own, f"is about classes of pixels; {checkpoint.model} tells objects apart")
    return _object_gate(module, checkpoint, where, bounds)


def _mask_gate(module: Deployable, checkpoint: Checkpoint, where: Where, bounds: Bounds) -> Callable[[], MaskGate]:
    from edgeseg.cli.pictures import labelled_pictures, run_data
    from edgeseg_export.deployable import TorchSegmenter
    from edgeseg_export.parity.compare import Reference
    from edgeseg_export.parity.gate import MaskGate

    data = run_data(checkpoint, where.data, where.split, "val_split", progress)
    pictures = labelled_pictures(data, module.contract.names)

    def gate() -> MaskGate:
        original = TorchSegmenter(module)
        reference = Reference.of(original, pictures, module.contract, bounds.measure, progress=progress)
        return MaskGate(reference, bounds.masks, progress)

    return gate


def _object_gate(
    module: InstanceDeployable, checkpoint: Checkpoint, where: Where, bounds: Bounds
) -> Callable[[], ObjectGate]:
    from edgeseg.cli.pictures import run_objects
    from edgeseg.training.evaluate import check_classes
    from edgeseg_export.instances.parity.compare import InstanceReference
    from edgeseg_export.instances.parity.gate import ObjectGate
    from edgeseg_export.instances.parity.paths import original_path

    data = run_objects(checkpoint, where.data, where.split, "val_split", progress)
    check_classes(data, module.contract.names)
    measure = bounds.measure
    sampling = Sampling(measure.resamples, measure.seed, measure.examples)

    def gate() -> ObjectGate:
        path = original_path(module)
        reference = InstanceReference.of(path, LabelledObjects(data), module.contract, sampling, progress=progress)
        return ObjectGate(reference, bounds.objects, progress)

    return gate


def _forbid(given: T, allowed: T, why: str) -> None:
    """Raise ConfigError naming the first field of a dataclass whose value is not the allowed one."""
    for field in fields(given):  # type: ignore[arg-type]
        if getattr(given, field.name) != getattr(allowed, field.name):
            raise ConfigError(f"--{field.name.replace('_', '-')} {why}; leave it away")
