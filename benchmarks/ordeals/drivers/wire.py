"""What every driver says on stdout: JSON lines, each with the moment on the clock that all processes share.

    {"at", "kind": "start", "versions"}         everything is loaded; the cameras are opened now
    {"at", "kind": "shown", "source", "thumb", "mask_lag"}   a picture was given out, with its mask
    {"at", "kind": "told", "source", "text"}    the subject told its caller that something is wrong (or right again)
    {"at", "kind": "viewer", "url"}             where its browser viewer is
    {"at", "kind": "done"}                      the subject returned by itself; its process may take a while to end

`thumb` is the picture in grey, 40×60, base64: numbers are read out of it, and black is seen, by the one who judges and
not by the driver. Needs nothing but OpenCV and numpy, for it runs in the environment of each subject.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
from dataclasses import dataclass
from importlib import metadata
from threading import Lock
from time import monotonic, sleep
from typing import Any

import cv2

THUMB_HEIGHT, THUMB_WIDTH = 40, 60


@dataclass(frozen=True)
class Task:
    """What a driver is to do, as JSON in its first argument."""

    urls: list[str]
    """The cameras; sources are numbered in this order."""
    inference_seconds: float = 0.0
    """Seconds that inference takes at least, on each picture."""
    model: str = ""
    """Path of an exported model, for those who run it."""
    viewer: bool = False
    """Whether a browser viewer is to be served."""

    @classmethod
    def from_arguments(cls) -> Task:
        """Read it, and let ctrl-C end this process as it does in a terminal, whatever the parent ignores."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return cls(**json.loads(sys.argv[1]))


class Wire:
    """Writes the lines. What else is printed to stdout from now on goes to stderr."""

    def __init__(self) -> None:
        self._out = os.dup(1)
        os.dup2(2, 1)
        self._lock = Lock()

    def start(self, *packages: str) -> None:
        """Say that the cameras are opened now, and by which versions."""
        self._say("start", versions={name: metadata.version(name) for name in packages})

    def shown(self, source: int, image: Any, mask_lag: float = 0.0) -> None:
        """Say that this picture (uint8 H×W×3, BGR) was given out, its mask made of one `mask_lag` seconds older."""
        at = monotonic()
        grey = cv2.resize(
            cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (THUMB_WIDTH, THUMB_HEIGHT), interpolation=cv2.INTER_AREA
        )
        self._say("shown", at, source=source, thumb=base64.b64encode(grey.tobytes()).decode(), mask_lag=mask_lag)

    def told(self, text: str, source: int | None = None) -> None:
        """Say what the subject told its caller."""
        self._say("told", source=source, text=text)

    def viewer(self, url: str) -> None:
        """Say where the viewer is."""
        self._say("viewer", url=url)

    def done(self) -> None:
        """Say that the subject has returned, and nothing comes any more."""
        self._say("done")

    def _say(self, kind: str, at: float | None = None, **data: Any) -> None:
        line = json.dumps({"at": monotonic() if at is None else at, "kind": kind, **data}) + "\n"
        with self._lock:
            view = memoryview(line.encode())
            while view:
                view = view[os.write(self._out, view) :]


def hold(since: float, seconds: float) -> None:
    """Sleep until an inference that began at `since` has taken so long."""
    sleep(max(0.0, seconds - (monotonic() - since)))
