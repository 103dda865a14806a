"""Pictures for other software: one (`/snapshot.jpg`), or one after the other (`/stream.mjpg`)."""

from __future__ import annotations

import asyncio
from time import monotonic

from aiohttp import web

from edgeseg_runtime.web.answers import HEADERS, body
from edgeseg_runtime.web.hub import FrameHub
from edgeseg_runtime.web.options import WebOptions
from edgeseg_runtime.web.packets import Key, Kind, Take
from edgeseg_runtime.web.refusals import Refused
from edgeseg_runtime.web.waiting import next_packet

BOUNDARY = "edgesegframe"
_RETRY = {"Retry-After": "1"}
_LOOK_SECONDS = 0.02
"""How often a slow reader's connection is looked at to see whether it has taken the last picture."""


class Pictures:
    """Answers with the newest pictures of a camera."""

    def __init__(self, hub: FrameHub, options: WebOptions) -> None:
        self._hub, self._options = hub, options

    async def snapshot(self, request: web.BaseRequest) -> web.Response:
        """Return the newest picture in its own size. Raises Refused (503) when there is none that is new enough."""
        take = self._newest(self._camera(request))
        if take is None or self._age(take) > self._options.stale_seconds:
            raise Refused(503, "there is no new picture of this camera at the moment", _RETRY)
        key = Key(take.shot.frame.camera, Kind.STILL)
        try:
            packet = await asyncio.wait_for(next_packet(self._hub, key, take.number - 1), self._options.stale_seconds)
        except asyncio.TimeoutError:
            raise Refused(503, "the picture could not be made in time", _RETRY) from None
        return body(packet.jpeg, "image/jpeg")

    async def stream(self, request: web.BaseRequest) -> web.StreamResponse:
        """Send pictures as `multipart/x-mixed-replace`; what a slow reader has no time for is left out.

        Ends when no new frame comes for a while, or when the reader takes nothing for a while.
        """
        camera = self._camera(request)
        take = self._newest(camera)
        seen = take.number if take is not None and self._age(take) > self._options.stale_seconds else 0
        answer = web.StreamResponse(
            headers={**HEADERS, "Content-Type": f"multipart/x-mixed-replace; boundary={BOUNDARY}"}
        )
        answer.force_close()
        await answer.prepare(request)
        # the boundary goes behind each picture: browsers show one only when they have seen where it ends
        await answer.write(f"--{BOUNDARY}\r\n".encode())
        while True:
            try:
                packet = await asyncio.wait_for(
                    next_packet(self._hub, Key(camera, Kind.STREAM), seen), self._options.silent_seconds
                )
            except asyncio.TimeoutError:
                return answer
            seen = packet.number
            head = f"Content-Type: image/jpeg\r\nContent-Length: {len(packet.jpeg)}\r\n\r\n".encode()
            part = b"".join((head, packet.jpeg, f"\r\n--{BOUNDARY}\r\n".encode()))
            try:
                await asyncio.wait_for(_send(request, answer, part), self._options.ack_seconds)
            except asyncio.TimeoutError:
                if request.transport is not None:
                    request.transport.abort()
                return answer

    def _camera(self, request: web.BaseRequest) -> str:
        """Return the camera that `?camera=` names, or the first one. Raises Refused where there is none."""
        cameras = self._hub.cameras()
        if not cameras:
            raise Refused(503, "no camera has given a picture yet", _RETRY)
        camera = request.query.get("camera", cameras[0])
        if camera not in cameras:
            raise Refused(404, "no camera of this name has given a picture")
        return camera

    def _newest(self, camera: str) -> Take | None:
        return self._hub.newest(camera)

    @staticmethod
    def _age(take: Take) -> float:
        return monotonic() - take.shot.frame.captured_at


async def _send(request: web.BaseRequest, answer: web.StreamResponse, part: bytes) -> None:
    """Write, and wait until nothing of it is left in this process."""
    await answer.write(part)
    while (transport := request.transport) is not None and transport.get_write_buffer_size():
        await asyncio.sleep(_LOOK_SECONDS)
    if request.transport is None:
        raise ConnectionResetError
