"""Fixtures for every floor: a model so small that its masks can be told by hand, clips for it, a network camera."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import settings
from numpy import array, int64
from onnx import TensorProto, helper, numpy_helper

from edgeseg_runtime.contract import CONTRACT_KEY, PRECISION_KEY, Contract, Label, Precision
from edgeseg_runtime.preprocess import Image

settings.register_profile("untimed", deadline=None)  # no test measures time; this machine may be busy
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def leave_child_signals_as_they_were() -> Iterator[None]:
    """Take back the SIGCHLD handler that PyTorch's data loader installs for good when it first starts workers.

    Later tests start processes of their own. With that handler in place and the engines loaded, the kernel ended the
    test process (SIGSEGV, SI_KERNEL) when such a child exited.
    """
    before = signal.getsignal(signal.SIGCHLD)
    yield
    signal.signal(signal.SIGCHLD, before)


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_is_heard() -> None:
    """Give SIGINT its effect back: a shell that runs the tests in the background has it ignored, by children too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


class TinyModel(Protocol):
    """Writes an ONNX model of no weights; see `tiny_model`."""

    def __call__(
        self, contract: Contract, path: Path, *, stride: int = 1, precision: Precision = "float32"
    ) -> Path: ...


@pytest.fixture
def colour_contract() -> Contract:
    """Three classes, one a colour channel, at 24×32: class 0 where red is strongest, 1 green, 2 blue."""
    labels = (Label("red", (255, 0, 0)), Label("green", (0, 255, 0)), Label("blue", (0, 0, 255)))
    return Contract(labels=labels, height=24, width=32)


@pytest.fixture
def tiny_model() -> TinyModel:
    """Return a function that writes an ONNX model whose score of class `i` is the input's channel `i`.

    Scores are float32 in 0..255, averaged over `stride`×`stride` pixels. With `output="mask"` in the contract they
    are brought back to the input's size (bilinear, half-pixel centres) and the uint8 arg-max is given. The contract
    and the precision are embedded, as the exporter does.
    """
    return _write_tiny_model


def _write_tiny_model(contract: Contract, path: Path, *, stride: int = 1, precision: Precision = "float32") -> Path:
    if not 1 <= len(contract.labels) <= 3:
        raise ValueError("a picture has three channels, so the tiny model has one to three classes")
    if contract.height % stride or contract.width % stride:
        raise ValueError(f"stride {stride} does not divide {contract.height}×{contract.width}")
    classes, rows, columns = len(contract.labels), contract.height // stride, contract.width // stride
    constants = [numpy_helper.from_array(array(range(classes), int64), "channels")]
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["real"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Gather", ["planes", "channels"], ["chosen"], axis=1),
        helper.make_node(
            "AveragePool", ["chosen"], ["scores"], kernel_shape=[stride, stride], strides=[stride, stride]
        ),
    ]
    output = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, classes, rows, columns])
    if contract.output == "mask":
        constants.append(numpy_helper.from_array(array([1, classes, *contract.size], int64), "size"))
        nodes += [
            helper.make_node(
                "Resize",
                ["scores", "", "", "size"],
                ["full"],
                mode="linear",
                coordinate_transformation_mode="half_pixel",
            ),
            helper.make_node("ArgMax", ["full"], ["index"], axis=1, keepdims=0),
            helper.make_node("Cast", ["index"], ["mask"], to=TensorProto.UINT8),
        ]
        output = helper.make_tensor_value_info("mask", TensorProto.UINT8, [1, *contract.size])
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, *contract.size, 3])
    graph = helper.make_graph(nodes, "tiny", [image], [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {CONTRACT_KEY: contract.to_json(), PRECISION_KEY: precision})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


class ColourClip(Protocol):
    """Writes a video; see `colour_clip`."""

    def __call__(self, path: Path, frames: int = 12, size: tuple[int, int] = (48, 64), fps: float = 10.0) -> Path: ...


@pytest.fixture
def colour_clip() -> ColourClip:
    """Return a function that writes a video whose frame `i` has class `i % 3` of the tiny model everywhere.

    `colour_clip(path, frames=12, size=(48, 64), fps=10.0)`; the suffix chooses the codec.
    """
    return _write_colour_clip


def _write_colour_clip(path: Path, frames: int = 12, size: tuple[int, int] = (48, 64), fps: float = 10.0) -> Path:
    code = cv2.VideoWriter.fourcc(*{".avi": "MJPG"}.get(path.suffix, "mp4v"))
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, fps, (size[1], size[0]))
    assert writer.isOpened()
    for index in range(frames):
        writer.write(colour_frame(index, size))
    writer.release()
    return path


def colour_frame(index: int, size: tuple[int, int] = (48, 64)) -> Image:
    """Return a BGR picture that is red, green or blue all over: class `index % 3` of the tiny model."""
    frame = np.full((*size, 3), 30, np.uint8)
    frame[:, :, 2 - index % 3] = 220
    return frame


Serve = Callable[[str], str]


class _Camera(BaseHTTPRequestHandler):
    """Serves `/live/N` (N motion-JPEG frames, then the end), `/stall/N` (then silence), and files by name."""

    folder: Path
    over: threading.Event

    def do_GET(self) -> None:
        kind, _, rest = self.path.split("?")[0].strip("/").partition("/")
        try:
            if kind in ("live", "stall"):
                self._motion_jpeg(int(rest))
                if kind == "stall":
                    self.over.wait(30)
            elif (self.folder / kind).is_file():
                self._answer("video/mp4", (self.folder / kind).read_bytes())
            else:
                self.send_error(404)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the reader has gone, as it may

    def _motion_jpeg(self, frames: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for index in range(frames):
            data = cv2.imencode(".jpg", colour_frame(index))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data + b"\r\n")
            time.sleep(0.02)

    def _answer(self, kind: str, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Return a function from a path (`live/20`, `stall/5`, a file in tmp_path) to an http URL that serves it."""
    over = threading.Event()
    handler = type("Camera", (_Camera,), {"folder": tmp_path, "over": over})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield lambda path: f"http://127.0.0.1:{server.server_address[1]}/{path}"
    over.set()
    server.shutdown()
    server.server_close()
    thread.join(5)
