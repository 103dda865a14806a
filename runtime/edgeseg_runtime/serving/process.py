"""The parent's hold on a process that runs a model."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from threading import Event as Flag
from threading import Lock
from time import monotonic, perf_counter
from typing import Any, Literal, NoReturn, TypeAlias

import numpy as np

from edgeseg_runtime import errors
from edgeseg_runtime.contract import MAX_PIXELS, Contract
from edgeseg_runtime.errors import EngineError, FrameError, ModelFileError, UserError
from edgeseg_runtime.live.base import Moment
from edgeseg_runtime.preprocess import Image, check_frame, to_frame_mask, to_input
from edgeseg_runtime.processes.child import Child
from edgeseg_runtime.processes.link import LinkClosed
from edgeseg_runtime.processes.memory import SharedMemory
from edgeseg_runtime.result import UNTIMED, Result, SemanticResult, StageTimes
from edgeseg_runtime.serving.canvas import Canvas, Size
from edgeseg_runtime.serving.objects import Unbelievable
from edgeseg_runtime.serving.spec import ModelSpec, ServingOptions
from edgeseg_runtime.temporal.adaptive import AdaptiveSize

MODULE = "edgeseg_runtime.serving.worker"
_GLANCE_SECONDS = 0.1
"""How often a wait looks up to see whether the server is being closed."""

Reason: TypeAlias = Literal["frame", "raised", "broken", "deadline", "died", "closed"]
"""The picture is none; the model refused it, and is sound; the engine failed; it gave no answer in time; its process
ended; the server is being closed."""


class AskFailed(Exception):  # noqa: N818 - it fails one frame
    """No mask came of a frame. `reason` says whether the process can go on."""

    def __init__(self, reason: Reason, line: str) -> None:
        super().__init__(line)
        self.reason: Reason = reason

    @property
    def sound(self) -> bool:
        """Whether the process may be asked again."""
        return self.reason in ("frame", "raised", "closed")


@dataclass(frozen=True)
class Facts:
    """What a process that is ready says of itself."""

    path: str
    engine: str
    precision: str
    threads: int
    seconds: float
    """Its first mask took, which includes whatever the engine sets up then."""
    contract: Contract
    sizes: tuple[Size, ...]
    """Input sizes at which it can work, the smallest first; the contract's own is the last."""


class ModelProcess:
    """One process with one model. Asked by one thread at a time; killed by any."""

    def __init__(self, spec: ModelSpec, options: ServingOptions, closing: Flag) -> None:
        """Start the process and tell it what to load. Raises EngineError."""
        self.spec, self._options, self._closing = spec, options, closing
        self._complaints: deque[str] = deque(maxlen=5)
        self._killing = Lock()
        self._started = monotonic()
        try:
            self._child = Child(MODULE, self._complaints.append)
        except OSError as error:
            raise EngineError(f"no process can be started for {spec.path}: {error.strerror}") from error
        try:
            self._child.link.send({"spec": spec.as_dict(), "memory_bytes": options.memory_bytes})
        except (LinkClosed, ValueError, OSError) as error:
            self.kill()
            raise EngineError(f"the process for {spec.path} could not be told what to load: {error}") from error

    def wait_ready(self) -> Facts:
        """Wait until it has loaded the model and given a first mask. Raises UserError; the process is then ended."""
        limit = self._options.load_limit(self.spec.device)
        try:
            answer = self._answer(self._started + limit)
            if answer is None:
                raise ModelFileError(
                    f"{self.spec.path} gave no mask of a black picture within {limit:g} s, loading included; if it is "
                    "only slow, allow more with --model-load-time"
                )
            if "error" in answer:
                self._refuse(str(answer["error"]), str(answer["line"]))
            sizes = tuple((int(height), int(width)) for height, width in answer["sizes"])
            self.facts = Facts(**{**answer, "contract": Contract.from_dict(answer["contract"]), "sizes": sizes})
            self._contracts = [replace(self.facts.contract, height=height, width=width) for height, width in sizes]
            # In units of the time that an inference may take, which depends on the cameras.
            self._place = AdaptiveSize([height * width for height, width in sizes], 1.0)
            self._share_memory(sizes)
        except LinkClosed:
            self.kill()
            raise ModelFileError(f"{self.spec.path} ended the process that loaded it: {self._last_words()}") from None
        except (OSError, ValueError, TypeError) as error:
            self.kill()
            raise EngineError(f"the process for {self.spec.path} cannot be used: {error}") from error
        except BaseException:
            self.kill()
            raise
        return self.facts

    @property
    def size(self) -> Size:
        """Input size at which the next frame will be worked on."""
        return self._contracts[self._place.index].size

    def ask(self, frame: Image, seconds: float, moment: Moment | None = None) -> Result:
        """Segment a frame within `seconds`. Raises AskFailed."""
        started = perf_counter()
        place = self._place.index
        contract = self._contracts[place]
        try:
            check_pixels(frame)
            np.copyto(self._canvas.images[place], to_input(frame, contract))
        except FrameError as error:
            raise AskFailed("frame", str(error)) from error
        prepared = perf_counter()
        height, width = frame.shape[:2]
        camera, captured_at = ("", None) if moment is None else (moment.camera, moment.captured_at)
        message = {"size": place, "camera": camera, "frame": [height, width], "at": captured_at}
        answer = self._run(message, monotonic() + seconds, seconds)
        answered = perf_counter()
        result = self._result(answer, place, height, width)
        decode = float(answer["decode"])
        # What the way to the process and back takes is the model's, as seen from here.
        infer = max(0.0, answered - prepared - decode)
        ended = perf_counter()
        if moment is not None and moment.period is not None:
            self._place.observe((ended - started) / moment.period, monotonic())
        return result.timed(StageTimes(prepared - started, infer, decode + ended - answered))

    def _result(self, answer: dict[str, Any], place: int, height: int, width: int) -> Result:
        """Take what the process left in the memory. The result is the caller's; the memory is the next frame's."""
        contract, canvas = self.facts.contract, self._canvas
        if canvas.objects is None:
            mask = to_frame_mask(canvas.masks[place], self._contracts[place], height, width)
            if np.may_share_memory(mask, canvas.masks[place]):
                mask = mask.copy()
            return SemanticResult(mask, contract, UNTIMED)
        try:
            return canvas.objects.take(int(answer["objects"]), contract, height, width, UNTIMED)
        except (Unbelievable, KeyError, TypeError, ValueError) as error:
            raise AskFailed("broken", str(error)) from error

    def kill(self) -> None:
        """End it now, whatever it does. May be called again, and from several threads."""
        with self._killing:
            self._child.kill()

    def _run(self, message: dict[str, Any], deadline: float, seconds: float) -> dict[str, Any]:
        try:
            self._child.link.send(message)
            answer = self._answer(deadline)
        except UserError as error:
            raise AskFailed("closed", str(error)) from error
        except (LinkClosed, TimeoutError, ValueError, OSError) as error:
            self.kill()
            raise AskFailed("died", f"the model's process ended: {self._last_words()}") from error
        if answer is None:
            raise AskFailed("deadline", f"the model gave no mask within {seconds:.3g} s and was ended")
        if "error" in answer:
            raise AskFailed("raised" if answer["error"] else "broken", str(answer["line"]))
        return answer

    def _answer(self, deadline: float) -> dict[str, Any] | None:
        """Return the next message, None at the deadline. Raises UserError when the server is being closed."""
        while True:
            left = deadline - monotonic()
            received = self._child.link.receive(max(0.0, min(left, _GLANCE_SECONDS)))
            if received is not None:
                return received[0]
            if self._closing.is_set():
                raise UserError("the stream has ended")
            if left <= 0:
                return None

    def _share_memory(self, sizes: tuple[Size, ...]) -> None:
        task = self.facts.contract.task
        memory = SharedMemory.create(Canvas.length(sizes, task))
        try:
            self._canvas = Canvas(memory, sizes, task)
            self._child.link.send({}, [memory.fd])
        finally:
            memory.close()

    def _refuse(self, kind: str, line: str) -> NoReturn:
        """Raise what the process was refused with, as the error it was there."""
        error = getattr(errors, kind, None) if kind else None
        if error is None:
            raise ModelFileError(f"{self.spec.path} cannot be run: {line}")
        if isinstance(error, type) and issubclass(error, UserError) and error is not errors.MissingExtraError:
            raise error(line)
        raise UserError(line)

    def _last_words(self) -> str:
        """How it ended, and what it said last."""
        code = self._child.exit_code
        end = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        if not self._complaints:
            return end
        line = "".join(letter for letter in self._complaints[-1] if letter.isprintable())  # engines print in colour
        return f"{end}, after it said {line[:500]!r}"


def check_pixels(frame: Image) -> None:
    """Raise FrameError unless `frame` is a picture of at most MAX_PIXELS."""
    check_frame(frame)
    if frame.shape[0] * frame.shape[1] > MAX_PIXELS:
        raise FrameError(f"a frame must have at most {MAX_PIXELS} pixels, got {frame.shape[0]}×{frame.shape[1]}")
