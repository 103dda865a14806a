"""What verbs hand down to the lower floors: pictures to compare masks on, and pictures to calibrate int8 on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from edgeseg.data.base import SegmentationData
from edgeseg.data.instances.base import InstanceData
from edgeseg.data.instances.collection import ObjectsAsClasses
from edgeseg.data.instances.open import open_instances
from edgeseg.data.open import open_data
from edgeseg.training.evaluate import check_classes
from edgeseg_export.artifacts import Calibration
from edgeseg_export.calibration import MINIMUM, audit, choose, facts
from edgeseg_export.parity.pictures import Picture
from edgeseg_runtime.errors import CalibrationError, ConfigError, DatasetError
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.progress import Progress

if TYPE_CHECKING:
    from edgeseg.training.checkpoint import Checkpoint

AUDITED = 400
"""Most training pictures that a calibration set is compared with."""
DataT = TypeVar("DataT")


class LabelledPictures:
    """A data set as the parity gate and the bench walk through it."""

    def __init__(self, data: SegmentationData) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Picture:
        sample = self.data.read(index)
        return Picture(self.data.name(index), sample.image, sample.mask)


def labelled_pictures(data: SegmentationData, names: tuple[str, ...]) -> LabelledPictures:
    """Wrap a data set whose classes are the model's. Raises DatasetError when they are not."""
    check_classes(data, names)
    return LabelledPictures(data)


@dataclass(frozen=True)
class Reading:
    """How pictures are read, where that is said and not left to the run that they are for."""

    format: str = "auto"
    """`auto` is as the run had it for its own pictures, and is found out for others."""
    skip_bad: bool = False
    """Go on without pictures that cannot be used, also where the run did not."""


AS_THE_RUN = Reading()


def run_data(
    checkpoint: Checkpoint,
    data: str | None,
    split: str | None,
    role: str,
    progress: Progress,
    reading: Reading = AS_THE_RUN,
) -> SegmentationData:
    """Open `data` and `split`, or, where they are None, those of the checkpoint's own run.

    `role` names the run's setting that holds the split: `split` or `val_split`.

    Raises DatasetError.
    """
    return _run_data(open_data, checkpoint, data, split, role, progress, reading)


def run_objects(
    checkpoint: Checkpoint,
    data: str | None,
    split: str | None,
    role: str,
    progress: Progress,
    reading: Reading = AS_THE_RUN,
) -> InstanceData:
    """Do what `run_data` does for models that tell objects apart."""
    return _run_data(open_instances, checkpoint, data, split, role, progress, reading)


def _run_data(
    opened: Callable[..., DataT],
    checkpoint: Checkpoint,
    data: str | None,
    split: str | None,
    role: str,
    progress: Progress,
    reading: Reading,
) -> DataT:
    config = checkpoint.config
    own = data is None
    where = config.get("data") if own else data
    if where is None:
        raise DatasetError("the checkpoint does not say what it was trained on; name pictures with --data")
    if own:
        told = config.get("format", "auto") if reading.format == "auto" else reading.format
        reading = Reading(told, reading.skip_bad or bool(config.get("skip_bad")))
    return opened(where, split or config.get(role, "val"), **asdict(reading), progress=progress)


def calibration_set(
    checkpoint: Checkpoint, source: str | None, count: int, seed: int, *, progress: Progress
) -> Calibration:
    """Draw `count` calibration pictures and compare them with the training pictures.

    From the run's training pictures, or from `source`: a data set (its train split) or a folder of pictures.
    Raises ConfigError for a count that is too low, CalibrationError when they are too few or unlike the training
    pictures.
    """
    if count < MINIMUM:
        raise ConfigError(f"--calibration-count must be at least {MINIMUM}, got {count}")
    of_objects = checkpoint.contract.task == "instance"
    training: SegmentationData
    if of_objects:
        training = ObjectsAsClasses(run_objects(checkpoint, None, None, "split", progress))
    else:
        training = run_data(checkpoint, None, None, "split", progress)
    names, images, masks = _draw(training if source is None else _open(source, of_objects, progress), count, seed)
    seen = [training.read(index) for index in choose(AUDITED, len(training), seed)]
    classes = checkpoint.contract.names
    report = audit(
        facts(images, masks, len(classes)),
        facts([sample.image for sample in seen], [sample.mask for sample in seen], len(classes)),
        classes,
    )
    report.check()
    where = source or f"the training pictures ({checkpoint.config['data']})"
    return Calibration(where, seed, tuple(names), images, report)


def _open(source: str, of_objects: bool, progress: Progress) -> SegmentationData | list[Path]:
    """Open a data set, or list the pictures that lie directly in a folder."""
    from edgeseg.data.files import list_pictures

    folder = Path(source)
    if folder.is_dir() and (loose := list_pictures(folder)):
        return loose
    if folder.is_dir() and not any(folder.iterdir()):
        raise CalibrationError(f"--calibration: there is nothing in the folder {source}")
    if of_objects:
        return ObjectsAsClasses(open_instances(source, "train", progress=progress))
    return open_data(source, "train", progress=progress)


def _draw(
    source: SegmentationData | list[Path], count: int, seed: int
) -> tuple[list[str], list[Image], list[Mask] | None]:
    from edgeseg.data.pictures import read_picture

    chosen = choose(count, len(source), seed)
    if not chosen:
        raise CalibrationError("there are no calibration pictures; name some with --calibration")
    if isinstance(source, list):
        return [source[index].name for index in chosen], [read_picture(source[index]) for index in chosen], None
    samples = [source.read(index) for index in chosen]
    return [source.name(index) for index in chosen], [s.image for s in samples], [s.mask for s in samples]
