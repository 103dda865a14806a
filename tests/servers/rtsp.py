"""An RTSP camera (RFC 2326): H.264 over RTP, interleaved in the RTSP connection."""

from __future__ import annotations

import select
import socket
import struct
import time

from tests.servers.auth import challenge, is_right
from tests.servers.base import CameraServer, split_request
from tests.servers.h264 import Encoder, Packetiser
from tests.servers.scene import Stamp

_REASONS = {200: "OK", 401: "Unauthorized", 404: "Stream Not Found", 454: "Session Not Found", 461: "Unsupported"}
_SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track1\r\n"  # noqa: E501


class RtspServer(CameraServer):
    """Each viewer gets an encoder of its own, so its first picture is a key frame, and its own numbering from 0."""

    scheme = "rtsp"
    drop_every = 0
    """Every n-th RTP packet is lost; 0: none."""
    keyframe_every = 25

    def serve(self, connection: socket.socket) -> None:
        session = _Session(self, connection)
        data = b""
        while self.on():
            if session.playing:
                session.send_due()
            if not select.select([connection], [], [], session.patience())[0]:
                continue
            more = connection.recv(1 << 16)
            if not more:
                return
            data = _without_interleaved(data + more)
            while (request := split_request(data)) is not None:
                first, headers, data = request
                data = _without_interleaved(data)
                self.requests.append(first)
                self.gone.wait(self.scene.delay)
                if not session.answer(first, headers):
                    return


class _Session:
    """One viewer: its requests, and its stream."""

    def __init__(self, server: RtspServer, connection: socket.socket) -> None:
        self._server, self._connection = server, connection
        self.playing = False
        self._number, self._due, self._sent = 0, 0.0, 0
        self._began = 0.0
        self._encoder, self._packetiser = Encoder(server.scene.fps), Packetiser()

    def patience(self) -> float:
        return max(0.0, self._due - time.monotonic()) if self.playing else 0.05

    def answer(self, first: str, headers: dict[str, str]) -> bool:
        """Answer a request; False ends the conversation."""
        method, url, _ = first.split(" ", 2)
        scene = self._server.scene
        base = [f"CSeq: {headers.get('cseq', '0')}", "Session: 1;timeout=60"]
        if scene.credentials is not None and method not in ("OPTIONS", "TEARDOWN"):
            said = headers.get("authorization")
            if said is None or not is_right(said, method, *scene.credentials):
                self._server.refusals += said is not None
                self._reply(401, *base, f"WWW-Authenticate: {challenge(scene.auth)}")
                return True
        if method == "DESCRIBE" and scene.status != 200:
            self._reply(scene.status, *base)
        elif method == "DESCRIBE":
            self._reply(200, *base, f"Content-Base: {url}/", "Content-Type: application/sdp", body=_SDP)
        elif method == "SETUP" and "interleaved" not in headers.get("transport", ""):
            self._reply(461, *base)
        elif method == "SETUP":
            self._reply(200, *base, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
        else:
            self._reply(200, *base, "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER")
        if method == "PLAY":
            self._play()
        return method != "TEARDOWN"

    def send_due(self) -> None:
        if time.monotonic() < self._due:
            return
        self._due = max(self._due + 1 / self._server.scene.fps, time.monotonic() - 1)
        if not self._server.scene.silent:
            self._send(time.monotonic())

    def _play(self) -> None:
        scene = self._server.scene
        self.playing, self._due = True, time.monotonic()
        self._began = self._due - scene.burst / scene.fps
        self._encoder = Encoder(scene.fps, self._server.keyframe_every, scene.gray)
        for index in range(scene.burst):
            self._send(self._began + index / scene.fps)

    def _send(self, made_at: float) -> None:
        """Send the picture of that moment."""
        image = self._server.scene.picture(Stamp(self._number, made_at))
        self._number += 1
        self._server.sent += 1
        for packet in self._packetiser.packets(self._encoder.encode(image), made_at - self._began):
            self._sent += 1
            if self._server.drop_every and self._sent % self._server.drop_every == 0:
                continue
            self._connection.sendall(struct.pack("!BBH", 0x24, 0, len(packet)) + packet)

    def _reply(self, status: int, *headers: str, body: str = "") -> None:
        length = [f"Content-Length: {len(body)}"] if body else []
        lines = [f"RTSP/1.0 {status} {_REASONS[status]}", *headers, *length, "", body]
        self._connection.sendall("\r\n".join(lines).encode())


def _without_interleaved(data: bytes) -> bytes:
    """Skip the packets that the viewer sends on a channel (its receiver reports) between its requests."""
    while data[:1] == b"$" and len(data) >= 4:
        length = 4 + int.from_bytes(data[2:4], "big")
        if len(data) < length:
            break
        data = data[length:]
    return data
