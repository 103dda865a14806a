"""The flags that name labelled pictures, shared by the verbs of `edgeseg data`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from edgeseg_runtime.contract import Task


@Parameter(name="*", group="Data")
@dataclass(frozen=True)
class SourceConfig:
    """What is looked at."""

    data: str
    """Folder of labelled pictures, or `procedural` for the built-in set."""
    split: str | None = None
    """Split that is looked at."""
    format: str = "auto"
    """How the folder is laid out; `auto` recognises it, a wrong name lists those there are."""
    task: Literal["semantic", "instance"] | None = None
    """What the truth is read as: classes of pixels, also where it can be both if not given, or single objects."""

    def chosen_task(self) -> Task:
        """Return the task, found out if it was not given. Raises DatasetError."""
        from edgeseg.data.instances.open import task_of

        return self.task or task_of(self.data, self.format)
