"""A camera on this machine that numbers its frames in their pixels: `python -m edgeseg_bench.numbered_camera CLIP`.

Prints its port and when frame 0 was due (`time.monotonic`, which all processes of a machine share), then sends the
clip, over and over, as motion JPEG to whoever connects: at any time the frame that is due, and none late.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic, sleep

import cv2
import numpy as np

from edgeseg_runtime.preprocess import Image

FPS = 30
BITS, SIDE = 20, 16
"""Squares of black or white in the top row, and their width in pixels: large, so that compression leaves them."""
_FRAMES = 150


def numbered(image: Image, number: int) -> Image:
    """Return a copy with its number in the top row."""
    bits = (number >> np.arange(BITS)) & 1
    picture = image.copy()
    picture[:SIDE, : BITS * SIDE] = np.repeat(bits * 255, SIDE).astype(np.uint8)[None, :, None]
    return picture


def number_of(image: Image) -> int:
    """Read it back."""
    centres = image[SIDE // 2, SIDE // 2 : BITS * SIDE : SIDE].mean(axis=-1)
    return int(((centres > 127) << np.arange(BITS)).sum())


def serve(clip: str) -> None:
    """Serve until killed."""
    capture, pictures = cv2.VideoCapture(clip), list[Image]()
    while len(pictures) < _FRAMES and (read := capture.read())[0]:
        pictures.append(read[1])  # type: ignore[arg-type]
    if not pictures or pictures[0].shape[1] < BITS * SIDE:
        raise SystemExit(f"{clip} gives no frames at least {BITS * SIDE} pixels wide")

    def encoded(number: int) -> bytes:
        picture = numbered(pictures[number % len(pictures)], number)
        return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()

    serve_due(encoded, FPS)


def serve_due(picture: Callable[[int], bytes], fps: float) -> None:
    """Serve the JPEG that is due, of `fps` a second, to whoever asks, until killed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    began = monotonic() + 0.5

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            number = max(0, int((monotonic() - began) * fps))
            while True:
                sleep(max(0.0, began + number / fps - monotonic()))
                data = picture(number)
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                try:
                    self.wfile.write(head.encode() + data + b"\r\n")
                except OSError:
                    return
                number = max(number + 1, int((monotonic() - began) * fps))

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server.RequestHandlerClass = Camera
    print(server.server_address[1], began, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1])
