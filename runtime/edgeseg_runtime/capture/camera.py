"""A live source that can be left alone."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from threading import Event, Thread, current_thread
from urllib.parse import urlsplit

from edgeseg_runtime.capture.attendant import Attendant
from edgeseg_runtime.capture.backoff import Backoff
from edgeseg_runtime.capture.condition import Condition
from edgeseg_runtime.capture.inbox import Inbox
from edgeseg_runtime.capture.options import CaptureOptions
from edgeseg_runtime.capture.states import Lost, Reason, State
from edgeseg_runtime.capture.tally import Tally
from edgeseg_runtime.credentials import without_credentials
from edgeseg_runtime.errors import MissingExtraError, SourceError
from edgeseg_runtime.events import Events
from edgeseg_runtime.sources.base import Frame
from edgeseg_runtime.sources.capture import URL_SCHEMES

_log = logging.getLogger(__name__)

_LONGEST_URL = 8192


class Camera:
    """A camera or stream, read in a process of its own, and connected to again whenever that is needed.

    It shares nothing with other cameras. Events: `source.state` {state, reason, detail}, `source.size` {height, width},
    `source.damaged` and `source.late` {count, total}. Nothing of its URL's credentials is in them, in `title`, or in
    the arguments of the worker.
    """

    def __init__(
        self, name: str, spec: str | int, events: Events | None = None, options: CaptureOptions | None = None
    ) -> None:
        """`spec` is a URL, the number of a camera of this machine, or its path in /dev.

        Raises SourceError for anything else, and MissingExtraError where the package for URLs is not installed.
        """
        self.name = name
        self._source, self.title = _understand(spec)
        self._options, events = options or CaptureOptions(), events or Events()
        self._condition, self._inbox = Condition(name, events), Inbox(name)
        period = self._options.report_every
        self._tallies = {kind: Tally(f"source.{kind}", name, events, period) for kind in ("damaged", "late")}
        self._over = Event()
        self._attendant: Attendant | None = None
        self._thread = Thread(target=self._run, name=f"edgeseg-camera-{name}", daemon=True)

    def __repr__(self) -> str:
        return f"Camera({self.name!r}, {self.title!r}, {self.state})"

    @property
    def on_frame(self) -> Callable[[], None] | None:
        """Called from the camera's thread when a frame has come or the state has changed. Must not block."""
        return self._condition.on_change

    @on_frame.setter
    def on_frame(self, hook: Callable[[], None] | None) -> None:
        self._condition.on_change = hook

    @property
    def state(self) -> State:
        """connecting, live, stalled, frozen, reconnecting or failed."""
        return self._condition.state

    @property
    def reason(self) -> Reason | None:
        """Why it is not live."""
        return self._condition.reason

    @property
    def since(self) -> float:
        """When it came into this state, on the monotonic clock."""
        return self._condition.since

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of its newest frames; None before the first."""
        return self._condition.size

    @property
    def fps(self) -> float | None:
        """Frames a second that the source declares, where it does."""
        return self._condition.fps

    @property
    def captured(self) -> int:
        """Good frames that came, over all connections. The newest one's index is one less."""
        return self._inbox.captured

    @property
    def damaged(self) -> int:
        """Frames that were not shown because they, or what they rest on, came damaged. Not among `captured`."""
        return self._tallies["damaged"].total

    @property
    def late(self) -> int:
        """Frames that were not shown because they had waited too long on their way. Not among `captured`."""
        return self._tallies["late"].total

    @property
    def worker_pid(self) -> int | None:
        """Process number of its worker, while there is one."""
        return None if self._attendant is None else self._attendant.pid

    def start(self) -> None:
        """Begin to connect, and return at once. Does nothing once started."""
        if not self._thread.is_alive() and not self._over.is_set():
            self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """End it and its worker, in at most `timeout` seconds whatever they do. May be called again."""
        self._over.set()
        if self._thread.is_alive() and self._thread is not current_thread():
            self._thread.join(timeout)

    def newest(self, after: int) -> Frame | None:
        """Return a copy of the newest frame if its index is above `after`. Does not wait.

        None, too, once the connection is lost: what came before is not what the camera sees now.
        """
        return self._inbox.newest(after)

    def _run(self) -> None:
        backoff = Backoff(self._options)
        while not self._over.is_set() and self.state != "failed":
            lost = self._attend(backoff)
            self._inbox.clear()
            if lost is not None:
                self._condition.away(lost.reason, lost.detail)
                self._over.wait(backoff.failure(lost.reason))
        for tally in self._tallies.values():
            tally.report(float("inf"))  # what came since the last report

    def _attend(self, backoff: Backoff) -> Lost | None:
        """See one worker through its life; return why another one is needed."""
        try:
            attendant = Attendant(self._source, self._options, self._inbox, self._condition, self._tallies)
        except OSError as error:
            return Lost("error", f"no process can be started: {error.strerror}")
        self._attendant = attendant
        try:
            attendant.attend(self._over)
        except Lost as lost:
            return lost
        except Exception as error:  # a bug, which must not leave a dead camera looking live
            _log.exception("camera %s failed, and starts anew", self.name)
            return Lost("error", type(error).__name__)
        finally:
            self._attendant = None
            attendant.end()
            if attendant.gave_frames:
                backoff.success()  # the next worker may start at once
        return None


_ENCODE = "in a user name or password write @ as %40, / as %2F, # as %23, ? as %3F, : as %3A"


def _understand(spec: str | int) -> tuple[str, str]:
    """Return what the worker is told, and what people are."""
    text = str(spec)
    if text.isdigit():
        return text, f"camera {text}"
    if text.startswith("/dev/"):
        return text, text
    shown = without_credentials(text)
    if "://" not in text:
        raise SourceError(f"{shown} is no camera: give a URL, the number of a camera from 0, or a path in /dev")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise SourceError(f"{shown}: this is no host and port; {_ENCODE}") from None
    if parts.scheme.lower() not in URL_SCHEMES:
        raise SourceError(f"{shown}: streams are read over {', '.join(URL_SCHEMES)}")
    if not host:
        raise SourceError(f"{shown}: a host is missing after {parts.scheme}://")
    if "@" in parts.netloc and "@" in text.partition(parts.netloc)[2]:
        raise SourceError(f"{shown}: it cannot be told where the password ends; {_ENCODE}")
    if len(text) > _LONGEST_URL:
        raise SourceError(f"a URL of {len(text)} characters; at most {_LONGEST_URL} are allowed")
    if importlib.util.find_spec("av") is None:
        raise MissingExtraError("av", "live")
    return text, shown
