"""Every process of a server, so that none is left when it closes."""

from __future__ import annotations

from threading import Event as Flag
from threading import Lock, Thread
from time import monotonic

from edgeseg_runtime.errors import UserError
from edgeseg_runtime.serving.process import Facts, ModelProcess
from edgeseg_runtime.serving.spec import ModelSpec, ServingOptions


class Household:
    """Starts processes and ends them. Used by several threads."""

    def __init__(self, options: ServingOptions) -> None:
        self._options = options
        self._lock = Lock()
        self._processes: set[ModelProcess] = set()
        self.closing = Flag()
        """Set once the end is wanted: every wait for a process is then cut short."""

    def start(self, spec: ModelSpec) -> tuple[ModelProcess, Facts]:
        """Start a process and wait until it is ready. Raises UserError; then none is left of it."""
        if self.closing.is_set():
            raise UserError("the stream has ended")
        process = ModelProcess(spec, self._options, self.closing)
        with self._lock:
            self._processes.add(process)
        try:
            return process, process.wait_ready()
        except BaseException:
            self.end(process)
            raise

    def end(self, process: ModelProcess) -> None:
        """End a process, and wait until it is gone."""
        process.kill()
        with self._lock:
            self._processes.discard(process)

    def end_all(self, seconds: float) -> None:
        """End what there is, and wait no longer than `seconds`."""
        deadline = monotonic() + seconds
        with self._lock:
            processes = tuple(self._processes)
        # A process stuck in a driver may not even die at once: then its killer is left behind, not the caller.
        killers = [
            Thread(target=self.end, args=(process,), name="edgeseg-model-end", daemon=True) for process in processes
        ]
        for killer in killers:
            killer.start()
        for killer in killers:
            killer.join(max(0.0, deadline - monotonic()))
