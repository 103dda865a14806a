"""A camera that sends motion JPEG over HTTP."""

from __future__ import annotations

import socket
import time

import cv2

from tests.servers.auth import challenge, is_right
from tests.servers.base import CameraServer, split_request
from tests.servers.scene import Scene, now

_REASONS = {200: "OK", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 500: "Internal Server Error"}


class MjpegServer(CameraServer):
    """Each viewer gets its own numbering from 0."""

    scheme = "http"

    def serve(self, connection: socket.socket) -> None:
        data = b""
        while (request := split_request(data)) is None:
            more = connection.recv(4096)
            if not more:
                return
            data += more
        first, headers, _ = request
        self.requests.append(first)
        self.gone.wait(self.scene.delay)
        status = self._status(headers)
        if status != 200:
            connection.sendall(_head(status, f"WWW-Authenticate: {challenge(self.scene.auth)}", "Content-Length: 0"))
            return
        connection.sendall(_head(200, "Content-Type: multipart/x-mixed-replace; boundary=frame"))
        number, due = 0, time.monotonic()
        while self.on():
            due = max(due + 1 / self.scene.fps, time.monotonic() - 1)
            if not self.scene.silent:
                connection.sendall(_part(part(self.scene, number)))
                number += 1
                self.sent += 1
            self.gone.wait(due - time.monotonic())

    def _status(self, headers: dict[str, str]) -> int:
        if self.scene.status != 200 or self.scene.credentials is None:
            return self.scene.status
        said = headers.get("authorization")
        if said is not None and is_right(said, "GET", *self.scene.credentials):
            return 200
        self.refusals += said is not None
        return 401


def part(scene: Scene, number: int) -> bytes:
    """Return one JPEG, cut off where it is the turn of a damaged one."""
    image = scene.picture(now(number))
    if scene.gray:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)  # type: ignore[assignment]
    data = cv2.imencode(".jpg", image)[1].tobytes()
    if scene.damage_every and number % scene.damage_every == scene.damage_every - 1:
        return data[: len(data) * 2 // 3]
    return data


def _part(data: bytes) -> bytes:
    return f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data + b"\r\n"


def _head(status: int, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} {_REASONS[status]}", *headers, "", ""]).encode()
