"""A model that serves a live stream: restarted when it fails, exchanged while frames come in.

One thread asks for masks. Whatever takes time besides that (starting, ending, trying another model) is done in other
threads, so a frame waits for its own inference and for nothing else.
"""

from __future__ import annotations

from collections import Counter
from threading import Condition, Lock, Thread
from time import monotonic

import numpy as np

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import EdgesegError, UserError
from edgeseg_runtime.events import Events
from edgeseg_runtime.live.base import InferenceFailed, ModelNotReady, Moment
from edgeseg_runtime.live.status import ModelStatus
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import Result
from edgeseg_runtime.serving.canvas import Size
from edgeseg_runtime.serving.health import Health
from edgeseg_runtime.serving.household import Household
from edgeseg_runtime.serving.process import AskFailed, Facts, ModelProcess
from edgeseg_runtime.serving.report import Reporter, display_name
from edgeseg_runtime.serving.spec import ModelSpec, ServingOptions

CLOSE_SECONDS = 0.8
"""How long `close` may take."""


class ModelServer:
    """Runs a model in a process of its own. A `live.base.LiveModel`.

    The process starts with the object, and nothing waits for it: `wait_ready` does, and raises what was wrong with the
    model. `infer` belongs to one thread, everything else to any.
    """

    def __init__(self, spec: ModelSpec, events: Events | None = None, options: ServingOptions | None = None) -> None:
        self._options, self._report = options or ServingOptions(), Reporter(events or Events())
        self._household = Household(self._options)
        self._changed = Condition()
        self._swapping = Lock()
        # Of the model that serves; all guarded by _changed.
        self._spec = spec
        self._generation = 0
        self._serving: ModelProcess | None = None
        self._asked: ModelProcess | None = None
        self._facts: Facts | None = None
        self._health = Health(self._options, 0.0)
        self._newest: Image | None = None
        self._restarts = 0
        self._frames_at: Counter[Size] = Counter()
        self._first_error: BaseException | None = None
        self._first = Thread(target=self._start_first, name="edgeseg-model-start", daemon=True)
        self._first.start()

    def wait_ready(self) -> Contract:
        """Wait until the model serves and return its contract.

        Raises UserError where the model cannot be loaded, is refused, or takes longer than it may.
        """
        self._first.join()
        if self._first_error is not None:
            raise self._first_error
        if self._facts is None:
            raise UserError("the stream has ended")
        return self._facts.contract

    @property
    def contract(self) -> Contract:
        """Of the model that serves now; waits for the first one, as `wait_ready` does."""
        facts = self._facts
        return self.wait_ready() if facts is None else facts.contract

    def infer(self, frame: Image, moment: Moment | None = None) -> Result:
        """Segment a uint8 H×W×3 BGR frame; the result carries the contract of the very model that made the mask.

        Smoothing and another input size need to know of the `moment`.

        Raises ModelNotReady at once while no process is there, InferenceFailed when this frame got no mask: the model
        raised, took longer than its deadline, its process ended, or the frame is no picture.
        """
        with self._changed:
            if self._serving is None or self._household.closing.is_set():
                raise ModelNotReady
            process = self._asked = self._serving
            health, self._newest = self._health, frame
            deadline, size = health.deadline, process.size
        started = monotonic()
        try:
            result = process.ask(frame, deadline, moment)
        except AskFailed as error:
            if error.reason == "closed":
                raise ModelNotReady from error
            self._failed(process, health, error)
            raise InferenceFailed(str(error)) from error
        finally:
            with self._changed:
                self._asked = None
                self._changed.notify_all()
        now = monotonic()
        with self._changed:
            recovered = health.worked(now - started, now)
            self._frames_at[size] += 1
        if recovered:
            self._report.recovered(process.spec)
        if process.size != size:
            self._report.resized(process.spec, process.size)
        return result

    def swap(self, spec: ModelSpec) -> None:
        """Load another model and let it take over between two frames; blocks until it has, or has been refused.

        It must give a mask of the newest frame first. Raises UserError when it cannot, when another swap is under way
        or when the stream has ended; the model that served then serves on.
        """
        if not self._swapping.acquire(blocking=False):
            raise UserError("another model is being loaded; choose again when that is done")
        try:
            self._swap(spec)
        finally:
            self._swapping.release()

    def status(self) -> ModelStatus:
        """Return how it is doing."""
        with self._changed:
            spec, facts = self._spec, self._facts
            return ModelStatus(
                name=display_name(spec.path if facts is None else facts.path),
                path=str(spec.path) if facts is None else facts.path,
                engine=(spec.engine or "") if facts is None else facts.engine,
                device=spec.device,
                precision="" if facts is None else facts.precision,
                degraded=self._health.degraded,
                restarts=self._restarts,
                smoothed=spec.smooth,
                sizes=self._sizes(facts) if spec.adapt else {},
            )

    def close(self) -> None:
        """End every process within CLOSE_SECONDS. May be called again, and while another thread is in `infer`."""
        deadline = monotonic() + CLOSE_SECONDS
        self._household.closing.set()
        with self._changed:
            self._serving = None
            self._changed.wait_for(lambda: self._asked is None, CLOSE_SECONDS / 2)
        self._household.end_all(deadline - monotonic())

    def _sizes(self, facts: Facts | None) -> dict[str, int]:
        """Return the frames at each input size, those of models that served before included."""
        counts = dict.fromkeys(() if facts is None else facts.sizes, 0) | self._frames_at
        return {f"{height}×{width}": number for (height, width), number in sorted(counts.items())}

    def _start_first(self) -> None:
        try:
            process, facts = self._household.start(self._spec)
            self._install(process, facts, self._generation)
        except BaseException as error:  # raised again in the thread that waits for it
            self._first_error = error

    def _install(self, process: ModelProcess, facts: Facts, generation: int) -> bool:
        """Let a process serve, unless another one does by now or the stream has ended: then it is ended."""
        with self._changed:
            wanted = self._serving is None and generation == self._generation and not self._household.closing.is_set()
            if wanted:
                if self._facts is None:
                    self._health = Health(self._options, facts.seconds)
                self._serving, self._facts = process, facts
        if not wanted:
            self._household.end(process)
        return wanted

    def _swap(self, spec: ModelSpec) -> None:
        started = monotonic()
        try:
            process, facts = self._household.start(spec)
            try:
                self._prove(process, facts)
            except BaseException:
                self._household.end(process)
                raise
        except EdgesegError as error:
            if not self._household.closing.is_set():
                self._report.refused(spec, str(error))
            raise
        old, degraded = self._take_over(spec, process, facts)
        if old is not None:
            self._household.end(old)
        if old is process:
            raise UserError("the stream has ended")
        self._report.swapped(spec, facts, monotonic() - started)
        if degraded:
            self._report.recovered(spec)

    def _take_over(self, spec: ModelSpec, process: ModelProcess, facts: Facts) -> tuple[ModelProcess | None, bool]:
        """Let a process serve from the next frame on; return the one to be ended, and whether it was degraded.

        The one to be ended is the new one itself where the stream has ended.
        """
        with self._changed:
            if self._household.closing.is_set():
                return process, False
            old, degraded = self._serving, self._health.degraded
            self._serving, self._facts, self._spec = process, facts, spec
            self._health = Health(self._options, facts.seconds)
            self._generation += 1
            # A frame is not taken away from the old model: it is given the time that it may take.
            self._changed.wait_for(lambda: self._asked is None or self._asked is not old)
            return old, degraded

    def _prove(self, process: ModelProcess, facts: Facts) -> None:
        """Raise UserError unless the process gives a mask of the newest frame."""
        with self._changed:
            frame = self._newest
        if frame is None:
            frame = np.zeros((*facts.contract.size, 3), np.uint8)
        try:
            process.ask(frame, self._options.load_limit(process.spec.device))
        except AskFailed as error:
            raise UserError(f"{process.spec.path} gives no mask of the newest frame: {error}") from error

    def _failed(self, process: ModelProcess, health: Health, error: AskFailed) -> None:
        """Note that a frame got no mask, and start another process if this one cannot go on."""
        with self._changed:
            degraded = health.failed(monotonic())
            lost = not error.sound and self._serving is process
            if lost:
                self._serving = None
            generation = self._generation
        self._report.failed(process.spec, error.reason, str(error))
        if degraded:
            self._report.degraded(process.spec, str(error))
        if lost:
            again = (process, health, generation)
            Thread(target=self._restart, args=again, name="edgeseg-model-restart", daemon=True).start()

    def _restart(self, old: ModelProcess, health: Health, generation: int) -> None:
        """Replace a process that is lost, and try until that works or a swap has made it needless."""
        lost_at = monotonic()
        self._household.end(old)
        while not self._household.closing.wait(health.backoff):
            with self._changed:
                if generation != self._generation:
                    return
            try:
                process, facts = self._household.start(old.spec)
            except Exception as error:  # whatever is in the way: without a model the stream is blind, so go on trying
                line = str(error) if isinstance(error, EdgesegError) else f"{type(error).__name__}: {error}"
                self._start_failed(old.spec, health, line)
                continue
            if self._install(process, facts, generation):
                with self._changed:
                    self._restarts += 1
                self._report.restarted(old.spec, monotonic() - lost_at)
            return

    def _start_failed(self, spec: ModelSpec, health: Health, line: str) -> None:
        if self._household.closing.is_set():
            return
        with self._changed:
            degraded = health.failed(monotonic())
        self._report.failed(spec, "start", line)
        if degraded:
            self._report.degraded(spec, line)
