"""The process of one camera: told to open it, it sends frames until the connection is lost, and says why.

Messages to it: `open` with the source and the options. From it, each a JSON object with `what`: `alive` every
heartbeat, `opening`, `opened`, `ring` (with the descriptor of its memory), `frame`, `trouble` (counts of damaged and
late frames), `frozen` (whether it is), and `lost`. What libraries said is scrubbed before it leaves the process.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Any

from edgeseg_runtime.capture.frozen import FrozenWatch
from edgeseg_runtime.capture.knock import VANISHED, knock
from edgeseg_runtime.capture.options import CaptureOptions
from edgeseg_runtime.capture.reader import Picture, Reader
from edgeseg_runtime.capture.ring import MOST_PIXELS, Ring
from edgeseg_runtime.capture.states import Lost
from edgeseg_runtime.credentials import scrub, secrets_of
from edgeseg_runtime.errors import MissingExtraError
from edgeseg_runtime.processes.inside import serve
from edgeseg_runtime.processes.link import Link, LinkClosed

_LONGEST_DETAIL = 400
_PATIENCE = 600.0
"""Seconds that a parent may be stopped, by a debugger for instance. If it is gone for good, the link closes."""


class Worker:
    """Sends over one link, from the thread that reads and from the one that beats."""

    def __init__(self, link: Link) -> None:
        self._link, self._sending = link, Lock()
        self._ring: Ring | None = None
        self._count = 0
        self._beating = Event()
        self._log: Any = None
        self._vanished = False
        """The camera fell silent, and may not be there at all."""

    def work(self) -> None:
        """Follow orders until the parent hangs up."""
        while (order := self._link.receive()) is not None:
            source, options = order[0]["open"], CaptureOptions(**order[0]["options"])
            if not self._beating.is_set():
                self._beating.set()
                Thread(target=self._beat, args=(options.heartbeat,), name="edgeseg-heartbeat", daemon=True).start()
            self._tell(what="opening")
            reader: Reader | None = None
            try:
                reader = self._open(source, options)
                self._follow(reader, FrozenWatch(options.frozen_after))
            except Lost as lost:
                self._vanished = lost.reason in VANISHED
                detail = scrub(lost.detail, secrets_of(source))[:_LONGEST_DETAIL]
                self._tell(what="lost", reason=lost.reason, detail=detail)
            except MissingExtraError as error:
                self._tell(what="lost", reason="package missing", detail=str(error))
            if reader is not None:
                reader.close()  # after the news: saying goodbye to a camera that is gone may take its time

    def _follow(self, reader: Reader, watch: FrozenWatch) -> None:
        self._tell(what="opened", fps=reader.fps)
        frozen, trouble = False, (0, 0)
        while True:
            picture = reader.read()
            if (reader.damaged, reader.late) != trouble:
                trouble = (reader.damaged, reader.late)
                self._tell(what="trouble", damaged=trouble[0], late=trouble[1])
            if picture is None:
                continue
            now_frozen = watch.frozen(picture.image, picture.arrived, picture.key)
            if now_frozen != frozen:
                frozen = now_frozen
                self._tell(what="frozen", frozen=frozen)
            self._show(picture)

    def _open(self, source: str, options: CaptureOptions) -> Reader:
        if "://" not in source:
            from edgeseg_runtime.capture.device import DeviceReader

            return DeviceReader(source, options)
        from edgeseg_runtime.capture.complaints import FfmpegLog
        from edgeseg_runtime.capture.network import NetworkReader

        self._log = self._log or FfmpegLog().install()
        if self._vanished:
            knock(source, options.connect_timeout)
            self._tell(what="opening")  # the connection has its whole time before it
        return NetworkReader(source, options, self._log)

    def _show(self, picture: Picture) -> None:
        height, width = picture.image.shape[:2]
        if height * width > MOST_PIXELS:
            raise Lost("codec", f"a picture of {height}×{width} pixels is too large")
        if self._ring is None or self._ring.size != (height, width):
            self._ring = Ring.create((height, width))
            self._tell(what="ring", size=[height, width], fds=[self._ring.memory.fd])
            self._ring.close()
        self._ring.write(self._count, picture.image)
        self._mention(what="frame", number=self._count, at=picture.arrived, position=picture.position)
        self._count += 1

    def _beat(self, period: float) -> None:
        try:
            while True:
                self._mention(what="alive")
                time.sleep(period)
        except LinkClosed:
            return

    def _tell(self, fds: Sequence[int] = (), **message: Any) -> None:
        with self._sending:
            self._link.send(message, fds, timeout=_PATIENCE)

    def _mention(self, **message: Any) -> None:
        """Tell what the next message will make up for, unless the parent is too busy to listen."""
        with self._sending, suppress(TimeoutError):
            self._link.send(message, timeout=0)


def work(link: Link) -> None:
    """Run a worker over `link`."""
    Worker(link).work()


if __name__ == "__main__":
    serve(work)
