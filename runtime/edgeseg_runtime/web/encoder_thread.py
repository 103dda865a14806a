"""The one thread that encodes."""

from __future__ import annotations

import logging
from threading import Lock, Thread

from edgeseg_runtime.errors import EdgesegError
from edgeseg_runtime.web.encode import Encode
from edgeseg_runtime.web.hub import FrameHub

_log = logging.getLogger(__name__)


class EncoderThread:
    """Encodes what somebody waits for, until the hub is closed. A picture that cannot be encoded ends nothing."""

    def __init__(self, hub: FrameHub, encode: Encode) -> None:
        self._hub, self._encode = hub, encode
        self._lock = Lock()
        self._trouble: str | None = None
        self._thread = Thread(target=self._work, name="edgeseg-web-encoder", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait for the end, which comes when the hub is closed."""
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def trouble(self) -> str | None:
        """Return what went wrong since the last call, if anything did."""
        with self._lock:
            trouble, self._trouble = self._trouble, None
            return trouble

    def _work(self) -> None:
        while (job := self._hub.job()) is not None:
            key, take = job
            try:
                packet = self._encode(take, key.kind)
            except Exception as error:
                self._hub.fail(key, take)
                self._report(error)
            else:
                self._hub.deliver(key, packet)

    def _report(self, error: Exception) -> None:
        if not isinstance(error, EdgesegError):
            _log.error("a picture for the viewer could not be made", exc_info=error)  # a bug: its traceback is wanted
        with self._lock:
            self._trouble = str(error) or type(error).__name__
