"""The flags that name labelled pictures, shared by the verbs of `edgeseg data`."""

from __future__ import annotations

from dataclasses import dataclass

from cyclopts import Parameter


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
