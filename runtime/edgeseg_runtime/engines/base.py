"""What every engine does, and nothing that only one of them does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.preprocess import Image

Batch: TypeAlias = npt.NDArray[np.uint8]
"""uint8 (N, height, width, 3)."""
Raw: TypeAlias = npt.NDArray[Any]
"""float32 (N, classes, h, w) scores or uint8 (N, height, width) masks, as the contract's `output` says."""


@dataclass(frozen=True)
class EngineOptions:
    """How to run a model."""

    device: str = "cpu"
    threads: int = 0
    """Processor threads in all; 0 takes every core."""
    lanes: int = 1
    """Requests that may run at the same time; the threads are shared out among them."""
    input_size: tuple[int, int] | None = None
    """(height, width) to fix a dynamic model to; None leaves a static model as it is."""


@dataclass(frozen=True)
class Capabilities:
    """What an engine can do here, each statement tested both ways."""

    suffixes: tuple[str, ...]
    devices: tuple[str, ...]
    """Devices this machine has for it, lower case."""
    precisions: tuple[str, ...]


class Request(Protocol):
    """One place in the engine. Used by one thread at a time."""

    def __call__(self, batch: Batch) -> Raw:
        """Run the model. The returned array may be overwritten by this request's next call."""
        ...


class Engine(Protocol):
    """A loaded model."""

    name: ClassVar[str]
    metadata: Mapping[str, str]
    """What the file says of itself: `edgeseg.contract`, `edgeseg.precision` and whatever else it carries."""
    threads: int
    """Processor threads in use."""

    def __init__(self, path: Path, options: EngineOptions) -> None: ...

    @classmethod
    def capabilities(cls) -> Capabilities:
        """Ask the installed engine what it can do on this machine."""
        ...

    def request(self) -> Request:
        """Make a new request; up to `options.lanes` of them run at the same time without waiting."""
        ...


def as_batch(image: Image) -> Batch:
    """View one picture as a batch of one, without a copy."""
    return image[None]
