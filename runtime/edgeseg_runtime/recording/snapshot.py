"""One picture and its mask, kept because somebody asked for it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Lock
from time import time

import cv2

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.files import write_bytes
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.recording.names import slug, stamp
from edgeseg_runtime.sinks.base import Shot, Sink

JPEG_QUALITY = 95


@dataclass(frozen=True)
class Snapshot:
    """The files of one snapshot."""

    picture: Path
    """The annotated picture, JPEG."""
    mask: Path | None
    """Class indices, 8-bit PNG; None where there was no mask."""
    fresh: bool
    """Whether the mask was made from this very frame."""


def save_snapshot(shot: Shot, folder: Path, at: float) -> Snapshot:
    """Write the shot's annotated picture and mask, named after `at`, seconds since 1970; overwrites nothing.

    Each file appears whole or not at all, the mask first. Raises OutputError.
    """
    base = "_".join(filter(None, (stamp(at), slug(shot.frame.camera))))
    for number in count(1):
        name = base if number == 1 else f"{base}_{number}"
        picture, mask = folder / f"{name}.jpg", folder / f"{name}.mask.png"
        if not picture.exists() and not mask.exists():
            break
    has_mask = shot.masked_at is not None
    try:
        if has_mask:
            write_bytes(mask, _compress(".png", shot.result.mask, [cv2.IMWRITE_PNG_COMPRESSION, 1]))
        write_bytes(picture, _compress(".jpg", shot.picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]))
    except OSError as error:
        raise OutputError(f"{picture} cannot be written: {error.strerror}") from error
    return Snapshot(picture, mask if has_mask else None, shot.fresh and has_mask)


class SnapshotSink(Sink[None]):
    """Keeps the newest shot of each camera, and saves it when asked to from another thread.

    The thread that drives the sink does the saving, so that two requests never write the same name.
    """

    name = "snapshot"
    patience = 0.1

    def __init__(self, folder: Path, wall: Callable[[], float] = time) -> None:
        self._folder, self._wall = folder, wall
        self._newest: dict[str, Shot] = {}
        self._asked: list[tuple[str, Future[Snapshot]]] = []
        self._lock = Lock()
        self._closed = False

    def take(self, camera: str = "", timeout: float = 2.0) -> Snapshot:
        """Save the newest shot of a camera. Raises OutputError, also when that takes longer than `timeout` seconds."""
        future: Future[Snapshot] = Future()
        with self._lock:
            if self._closed:
                raise OutputError("no snapshot: the stream has ended")
            self._asked.append((camera, future))
        try:
            return future.result(timeout)
        except FutureTimeoutError:
            future.cancel()
            raise OutputError(f"no snapshot: it was not saved within {timeout:g} s") from None

    def encode(self, shot: Shot) -> None:
        """Nothing to prepare: few shots are ever asked for."""

    def write(self, shot: Shot, encoded: None) -> None:  # noqa: ARG002
        """Keep the shot, and save it if somebody waits."""
        self._newest[shot.frame.camera] = shot
        self.idle()

    def idle(self) -> None:
        """Serve those who wait."""
        with self._lock:
            asked, self._asked = self._asked, []
        for camera, future in asked:
            if future.set_running_or_notify_cancel():
                self._serve(camera, future)

    def close(self) -> None:
        """Turn away those who wait."""
        with self._lock:
            self._closed = True
            asked, self._asked = self._asked, []
        for _camera, future in asked:
            if future.set_running_or_notify_cancel():
                future.set_exception(OutputError("no snapshot: the stream has ended"))

    def _serve(self, camera: str, future: Future[Snapshot]) -> None:
        shot = self._newest.get(camera)
        if shot is None:
            known = ", ".join(sorted(self._newest)) or "none yet"
            future.set_exception(OutputError(f"no snapshot: no picture of camera {camera!r}; there are: {known}"))
            return
        try:
            future.set_result(save_snapshot(shot, self._folder, self._wall()))
        except OutputError as error:
            future.set_exception(error)
        except Exception as error:  # whoever asked must not wait in vain
            future.set_exception(error)
            raise


def _compress(suffix: str, picture: Image, settings: list[int]) -> bytes:
    done, data = cv2.imencode(suffix, picture, settings)
    if not done:
        raise OutputError(f"OpenCV could not encode a {suffix} of {picture.shape}")
    return data.tobytes()
