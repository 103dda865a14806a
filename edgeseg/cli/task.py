"""The task that a model is for, with the pictures of a run: what verbs that train work on."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import TYPE_CHECKING, TypeVar

from edgeseg_runtime.extras import require

if TYPE_CHECKING:
    from edgeseg.config import DataConfig
    from edgeseg.training.task import Task
    from edgeseg_runtime.progress import Progress

DataT = TypeVar("DataT", bound=Sized)


def nothing(_message: str) -> None:
    """Say nothing."""


def open_task(model: str, settings: DataConfig, show: Progress, say: Callable[[str], None] = nothing) -> Task:
    """Return the task that architecture `model` is for, with both splits of its pictures.

    How many there are is told to `say`. Raises ConfigError for an unknown model, DatasetError.
    """
    from edgeseg.data.instances.open import open_instances
    from edgeseg.data.open import open_data
    from edgeseg.training.instances.task import InstanceTask
    from edgeseg.training.networks import task_of
    from edgeseg.training.semantic import SemanticTask

    def both(opened: Callable[..., DataT]) -> tuple[DataT, DataT]:
        train_data, val_data = (
            opened(settings.data, split, format=settings.format, skip_bad=settings.skip_bad, progress=show)
            for split in (settings.split, settings.val_split)
        )
        say(f"{settings.data}: {len(train_data)} {settings.split} and {len(val_data)} {settings.val_split} pictures")
        return train_data, val_data

    if task_of(model) == "instance":
        require("pycocotools", "train")  # the score, which comes only after an epoch
        return InstanceTask(*both(open_instances))
    return SemanticTask(*both(open_data))
