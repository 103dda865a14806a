"""Load a model file, give it frames, get masks or objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Protocol, TypeVar

import numpy as np

from edgeseg_runtime.contract import UNBATCHED, Contract, Task
from edgeseg_runtime.decode import SemanticDecoder
from edgeseg_runtime.engines import Engine, EngineOptions, Request, engine_for
from edgeseg_runtime.engines.base import Raw, as_batch
from edgeseg_runtime.engines.model_files import why_not
from edgeseg_runtime.errors import ModelFileError
from edgeseg_runtime.instances.decode import InstanceDecoder
from edgeseg_runtime.instances.tracking import unsure_thresholds
from edgeseg_runtime.preprocess import Image, to_input
from edgeseg_runtime.result import Result, StageTimes

T = TypeVar("T")
U = TypeVar("U")

MODEL_SUFFIXES = (".onnx", ".xml")
REJECTED = "rejected"
"""Folder inside an export that holds what failed its parity gate; nothing is ever picked from there."""


class Decoder(Protocol):
    """Turns what a model gives for one picture into what it says. Used by one thread at a time."""

    def __call__(self, outputs: Raw, height: int, width: int, /) -> Result:
        """Return the result for a `height`×`width` frame. Raises ScoresError when numbers are NaN or infinite."""
        ...


DECODERS: Mapping[Task, Callable[[Contract], Decoder]] = {"semantic": SemanticDecoder, "instance": InstanceDecoder}


class Lane:
    """One frame's way through the model: resize, infer, decode. Used by one thread at a time."""

    def __init__(self, request: Request, contract: Contract, *, unsure: bool = False) -> None:
        """`unsure`: tell of unsure objects too, for a tracker; see `instances.tracking`."""
        self._request, self._contract = request, contract
        self._decoder: Decoder
        if unsure and contract.selection is not None:
            self._decoder = InstanceDecoder(contract, unsure_thresholds(contract.selection))
        else:
            self._decoder = DECODERS[contract.task](contract)

    def __call__(self, frame: Image) -> Result:
        """Segment a uint8 H×W×3 BGR frame. Raises FrameError for anything else."""
        started = perf_counter()
        image = self.preprocess(frame)
        prepared = perf_counter()
        raw = self.infer(image)
        inferred = perf_counter()
        result = self.decode(raw, frame.shape[0], frame.shape[1])
        return result.timed(StageTimes(prepared - started, inferred - prepared, perf_counter() - inferred))

    def each(self, frames: Sequence[Image]) -> list[Result]:
        """Segment several uint8 H×W×3 BGR frames, every step for all of them before the next step.

        The results are those of one call a frame. But a step's code, and the net's weights, are then in the core's
        caches for all frames but the first, which saves 8 to 9 % of the processor time of a net of some milliseconds.
        Raises FrameError.
        """
        if len(frames) == 1:
            return [self(frames[0])]
        images, prepared = _each(self.preprocess, frames)
        # the next inference may overwrite what this one gives
        raws, inferred = _each(lambda image: tuple(values.copy() for values in self.infer(image)), images)
        shaped = [(raw, *frame.shape[:2]) for raw, frame in zip(raws, frames, strict=True)]
        results, decoded = _each(lambda given: self.decode(*given), shaped)
        times = map(StageTimes, prepared, inferred, decoded)
        return [result.timed(spent) for result, spent in zip(results, times, strict=True)]

    def preprocess(self, frame: Image) -> Image:
        """Return the model's input: uint8 (height, width, 3) of the contract."""
        return to_input(frame, self._contract)

    def infer(self, image: Image) -> Raw:
        """Return the model's outputs for one picture, without the batch axis; the next call may overwrite them."""
        raw = self._request(as_batch(image))
        return raw if self._contract.output in UNBATCHED else tuple(values[0] for values in raw)

    def decode(self, raw: Raw, height: int, width: int) -> Result:
        """Return what the outputs say of a `height`×`width` frame. Raises ScoresError."""
        return self._decoder(raw, height, width)


class Segmenter:
    """A model file, its contract and an engine.

    >>> seg = Segmenter.load("runs/camvid/export/openvino-int8")  # doctest: +SKIP
    >>> seg(frame).area()["Road"]  # doctest: +SKIP
    """

    def __init__(self, path: Path, engine: Engine) -> None:
        self.path, self.engine = path, engine
        self.contract, self.precision = engine.contract, engine.precision

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        engine: str | None = None,
        device: str = "cpu",
        threads: int = 0,
        lanes: int = 1,
        contract: Contract | None = None,
    ) -> Segmenter:
        """Load `path`: an .onnx or .xml file, or a folder that holds one.

        `engine` defaults to the one at home in the format; `contract` is for files that carry none.
        Raises ModelFileError, EngineError, ContractError or MissingExtraError.
        """
        file = model_file(Path(path))
        return cls(file, engine_for(file, engine)(file, EngineOptions(device, threads, lanes, contract)))

    def lane(self, *, unsure: bool = False) -> Lane:
        """Make a way through the model for a thread of its own; `unsure`: with unsure objects, for a tracker."""
        return Lane(self.engine.request(), self.contract, unsure=unsure)

    @cached_property
    def _lane(self) -> Lane:
        return self.lane()  # only when called for: who makes lanes needs no other one

    def __call__(self, frame: Image) -> Result:
        """Segment a uint8 H×W×3 BGR frame, into a SemanticResult or an InstanceResult by the contract's task.

        Not for several threads at once: give each its own `lane()`.
        """
        return self._lane(frame)

    def warm_up(self) -> None:
        """Run once on a black picture, so that the first frame does not pay for lazy set-up."""
        self._lane(np.zeros((self.contract.height, self.contract.width, 3), np.uint8))


def _each(step: Callable[[T], U], items: Iterable[T]) -> tuple[list[U], list[float]]:
    """Return what `step` makes of each item, and the seconds each took."""
    made, seconds = [], []
    for item in items:
        started = perf_counter()
        made.append(step(item))
        seconds.append(perf_counter() - started)
    return made, seconds


def model_file(path: Path) -> Path:
    """Return the model file that `path` is or holds. Raises ModelFileError with what was there instead."""
    if path.is_file():
        if path.suffix not in MODEL_SUFFIXES:
            advice = "give an .onnx or an OpenVINO .xml file"
            raise ModelFileError(f"{path} is not a model a device runs; {advice}{why_not(path)}")
        return path
    if not path.is_dir():
        raise ModelFileError(f"there is no model at {path}")
    found = _models(path)
    if len(found) == 1:
        return found[0]
    below = [
        folder for folder in sorted(path.iterdir()) if folder.is_dir() and folder.name != REJECTED and _models(folder)
    ]
    if not found and not below:
        raise ModelFileError(f"{path} holds no .onnx or .xml model")
    choices = ", ".join(str(choice) for choice in (found or below))
    raise ModelFileError(f"{path} holds several models; name one: {choices}")


def _models(folder: Path) -> list[Path]:
    # hidden ones are files still being written
    return sorted(file for file in folder.iterdir() if file.suffix in MODEL_SUFFIXES and not file.name.startswith("."))
