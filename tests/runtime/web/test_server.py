from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from edgeseg_runtime.address import Address
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError, OutputError
from edgeseg_runtime.events import Events
from edgeseg_runtime.live.account import Account
from edgeseg_runtime.live.status import CameraStatus, ModelStatus, Percentiles, Status
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.web.controls import Controls, ZoneShape
from edgeseg_runtime.web.options import WebOptions
from edgeseg_runtime.web.packets import Kind
from edgeseg_runtime.web.server import WebServer
from edgeseg_runtime.web.sink import WebSink
from tests.runtime.web.clients import Producer, connect, exchange, request, shot, status

if TYPE_CHECKING:
    from tests.runtime.web.conftest import Serving


def whole(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Split an answer into status, headers in lower case, and body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    return status(answer), {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}, body


def get(server: WebServer, path: str) -> tuple[int, dict[str, str], bytes]:
    return whole(exchange(server, request(path=path)))


def post(server: WebServer, path: str, value: Any) -> tuple[int, Any]:
    body = json.dumps(value).encode()
    code, _, answer = whole(exchange(server, request("POST", path, {"Content-Type": "application/json"}, body)))
    return code, json.loads(answer)


def decoded(data: bytes) -> Image:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)  # type: ignore[return-value]


def a_status(state: str = "live") -> Status:
    ages = Percentiles(20.0, 30.0, 40.0)
    camera = CameraStatus("door", "rtsp://cam/1", state, None, 1.0, (48, 64), Account(3, 2), 30.0, 29.0, ages, ages)
    return Status(12.5, ModelStatus("tiny", "tiny.onnx", "ort", "cpu", "float32", False, 0), (camera,), (), {})


class Models:
    def __init__(self) -> None:
        self.now = "one"

    def names(self) -> list[str]:
        return ["one", "two", "broken"]

    def current(self) -> str:
        return self.now

    def switch(self, name: str) -> None:
        if name == "broken":
            raise ConfigError("broken has other labels; one serves on")
        self.now = name


class Recorder:
    def __init__(self) -> None:
        self.on = False

    def recording(self) -> bool:
        return self.on

    def start(self) -> None:
        self.on = True

    def stop(self) -> None:
        self.on = False


class Keeper:
    def take(self, camera: str) -> str:
        return f"{camera}-1.jpg"


class Areas:
    def __init__(self) -> None:
        self.kept: list[ZoneShape] = []

    def zones(self) -> list[ZoneShape]:
        return self.kept

    def replace(self, zones: Any) -> None:
        self.kept = list(zones)


def test_the_page_and_all_its_files_are_served(serving: Serving) -> None:
    server = serving()
    code, headers, page = get(server, "/")
    assert (code, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "script-src 'self'" in headers["content-security-policy"] and "unsafe" not in str(headers)
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert not [name for name in headers if name.startswith("access-control")]
    seen, files = set[str](), re.findall(r'(?:href|src)="(/[^"]+)"', page.decode())
    while files:
        path = files.pop()
        seen.add(path)
        code, headers, body = get(server, path)
        assert code == 200 and body, path
        files += {f"/js/{name}" for name in re.findall(r'from "\./([^"]+)"', body.decode())} - seen
    assert {"/js/main.js", "/js/zone_shapes.js", "/css/base.css", "/icon.svg"} <= seen
    assert not re.findall(r"<script(?! type=\"module\" src)|\sstyle=|\son[a-z]+=|https?://", page.decode())


def test_a_snapshot_is_the_newest_overlay_in_its_own_size(serving: Serving, colour_contract: Contract) -> None:
    server = serving(options=WebOptions(picture_side=16))
    assert get(server, "/snapshot.jpg")[0] == 503
    one = shot(colour_contract, 2)
    WebSink(server).write(one, None)
    code, headers, body = get(server, "/snapshot.jpg")
    assert (code, headers["content-type"]) == (200, "image/jpeg")
    picture = decoded(body)
    np.testing.assert_allclose(picture, one.picture, atol=40)  # 4:2:0 blurs the edge
    np.testing.assert_allclose(picture[:, -8:], one.picture[:, -8:], atol=8)


def test_an_old_picture_is_no_snapshot(serving: Serving, colour_contract: Contract) -> None:
    server = serving()
    sink = WebSink(server)
    sink.write(shot(colour_contract, age=2.5), None)
    code, headers, _ = get(server, "/snapshot.jpg")
    assert code == 503 and int(headers["retry-after"]) >= 1
    assert server.encoder.counts[Kind.STILL] == 0
    sink.write(shot(colour_contract, age=0.0), None)
    assert get(server, "/snapshot.jpg")[0] == 200  # the control: a new one is


def test_cameras_are_asked_for_by_name(serving: Serving, colour_contract: Contract) -> None:
    server = serving()
    sink = WebSink(server)
    sink.write(shot(colour_contract, camera="door", size=(16, 16)), None)
    sink.write(shot(colour_contract, camera="back yard", size=(32, 32)), None)
    for query, side in (("", 16), ("?camera=door", 16), ("?camera=back%20yard", 32)):
        code, _, body = get(server, f"/snapshot.jpg{query}")
        assert code == 200
        assert decoded(body).shape[0] == side
    assert get(server, "/snapshot.jpg?camera=attic")[0] == 404
    assert get(server, "/stream.mjpg?camera=attic")[0] == 404


def test_the_stream_is_what_opencv_reads(serving: Serving, colour_contract: Contract) -> None:
    server = serving()
    with Producer(server, colour_contract):
        while not server.hub.cameras():
            time.sleep(0.01)
        capture = cv2.VideoCapture(f"{server.url}stream.mjpg", cv2.CAP_FFMPEG)
        frames = [capture.read() for _ in range(5)]
        capture.release()
    assert all(found and frame.shape == (48, 64, 3) for found, frame in frames)
    assert server.encoder.counts[Kind.VIEW] == 0


def test_a_stream_without_frames_ends(serving: Serving, colour_contract: Contract) -> None:
    server = serving(options=WebOptions(silent_seconds=0.3))
    WebSink(server).write(shot(colour_contract), None)
    answer = exchange(server, request(path="/stream.mjpg"))  # returns because the server closes
    assert status(answer) == 200 and answer.count(b"Content-Type: image/jpeg") == 1


def test_status_events_and_metrics_are_told(serving: Serving) -> None:
    events = Events()
    server = serving(status=a_status, metrics=lambda: "edgeseg_up 1\n", events=events)
    events.publish("source.state", "door", state="live")
    events.publish("zone.enter", "door", zone="mat")
    told = json.loads(get(server, "/api/status")[2])
    assert told["cameras"][0]["account"]["captured"] == 3 and told["model"]["name"] == "tiny"
    assert [event["kind"] for event in json.loads(get(server, "/api/events")[2])["events"]] == [
        "source.state",
        "zone.enter",
    ]
    assert len(json.loads(get(server, "/api/events?after=1")[2])["events"]) == 1
    code, headers, body = get(server, "/metrics")
    assert (code, body) == (200, b"edgeseg_up 1\n")
    assert headers["content-type"].startswith("text/plain; version=0.0.4")


def test_what_is_not_there_is_not_found(serving: Serving) -> None:
    server = serving()
    assert get(server, "/api/status")[0] == get(server, "/metrics")[0] == 404
    for path, value in (("model", {"name": "x"}), ("record", {"recording": True}), ("zones", {"zones": []})):
        assert post(server, f"/api/{path}", value)[0] == 404


def test_a_status_that_fails_or_hangs_harms_only_itself(
    serving: Serving, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeseg_runtime.web.questions.ASK_SECONDS", 0.2)
    free = threading.Event()

    def hang() -> str:
        free.wait(20)
        return ""

    def fail() -> Status:
        raise RuntimeError("no such thing")

    server = serving(status=fail, metrics=hang)
    code, _, body = get(server, "/api/status")
    assert code == 500 and b"no such thing" not in body and "no such thing" in caplog.text
    assert get(server, "/metrics")[0] == 503
    assert get(server, "/")[0] == 200
    free.set()


def test_controls_do_what_is_asked_and_say_how_it_stands(serving: Serving) -> None:
    models, recorder, areas = Models(), Recorder(), Areas()
    server = serving(Controls(models, recorder, Keeper(), areas))
    assert post(server, "/api/model", {"name": "two"}) == (200, {"current": "two"})
    code, told = post(server, "/api/model", {"name": "broken"})
    assert (code, told["error"], models.now) == (409, "broken has other labels; one serves on", "two")
    assert post(server, "/api/model", {"name": "three"})[0] == 400
    assert post(server, "/api/record", {"recording": True}) == (200, {"recording": True})
    assert recorder.on
    assert post(server, "/api/record", {"recording": False}) == (200, {"recording": False})
    assert post(server, "/api/snapshot", {"camera": "door"}) == (200, {"name": "door-1.jpg"})
    zone = {"name": "mat", "camera": "door", "points": [[0, 0], [0.5, 0], [0.5, 0.5]]}
    assert post(server, "/api/zones", {"zones": [zone]}) == (200, {"zones": [zone]})
    assert areas.kept == [zone]
    assert post(server, "/api/zones", {"zones": [zone, zone]})[0] == 400
    assert areas.kept == [zone]


def test_a_control_that_takes_too_long_is_answered_and_others_are_not_lost(serving: Serving) -> None:
    free = threading.Event()

    class Slow(Recorder):
        def start(self) -> None:
            free.wait(20)
            super().start()

    recorder = Slow()
    server = serving(Controls(record=recorder), options=WebOptions(control_seconds=0.2))
    assert post(server, "/api/record", {"recording": True})[0] == 504
    assert get(server, "/")[0] == 200
    free.set()
    end = time.monotonic() + 10
    while not recorder.on and time.monotonic() < end:
        time.sleep(0.01)
    assert recorder.on
    assert post(server, "/api/record", {"recording": False}) == (200, {"recording": False})


def test_a_taken_port_is_named(serving: Serving) -> None:
    server = serving()
    with pytest.raises(OutputError, match=rf"cannot listen on 127.0.0.1 port {server.address.port}.*another port"):
        WebServer(server.address).start()


def test_the_token_is_asked_for_wherever_others_can_reach_it() -> None:
    assert WebServer(Address()).token is None
    first, second = WebServer(Address("0.0.0.0")), WebServer(Address("192.0.2.1"))
    assert first.token and second.token and first.token != second.token and len(first.token) >= 40
    assert first.link == f"{first.url}?token={first.token}" and first.token not in first.url
    with pytest.raises(ConfigError, match="16 characters"):
        WebServer(Address("0.0.0.0"), token="secret")
    for server in (first, second):
        server.close()


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("edgeseg-web")}


def test_closing_ends_every_thread_and_connection(colour_contract: Contract) -> None:
    before = threads()
    server = WebServer(Address(port=0))
    server.start()
    assert threads() > before
    idle = connect(server)
    with Producer(server, colour_contract):
        streaming = connect(server)
        streaming.sendall(request(path="/stream.mjpg"))
        server.close(timeout=10)
        server.close()
    assert threads() == before
    for client in (idle, streaming):
        with client:
            client.settimeout(5)
            try:
                while client.recv(65536):
                    pass
            except ConnectionError:
                pass
    with pytest.raises(ConnectionError), socket.create_connection(("127.0.0.1", server.address.port), 5):
        pass


def test_closing_does_not_wait_for_a_control_that_hangs() -> None:
    free = threading.Event()

    class Stuck(Recorder):
        def start(self) -> None:
            free.wait(30)

    server = WebServer(Address(port=0), Controls(record=Stuck()))
    server.start()
    client = connect(server)
    body = b'{"recording": true}'
    client.sendall(request("POST", "/api/record", {"Content-Type": "application/json"}, body))
    time.sleep(0.2)
    started = time.monotonic()
    server.close(timeout=1.0)
    assert time.monotonic() - started < 10
    client.close()
    free.set()


def test_a_viewer_that_was_never_started_can_be_closed() -> None:
    server = WebServer(Address(port=0), events=Events())
    server.close()
    server.close()


def test_the_sink_says_what_went_wrong_once(serving: Serving, colour_contract: Contract) -> None:
    server = serving()
    sink = WebSink(server)
    broken = shot(colour_contract, image=np.zeros((1, 1, 2), np.uint8))  # no JPEG has two channels
    sink.encode(broken)
    sink.write(broken, None)
    assert get(server, "/stream.mjpg?camera=attic")[0] == 404
    good = shot(colour_contract)
    with connect(server) as client:
        client.sendall(request(path="/stream.mjpg"))
        end = time.monotonic() + 10
        with pytest.raises(OutputError, match="the viewer: "):
            while time.monotonic() < end:
                time.sleep(0.05)
                sink.write(broken, None)
        with suppress(OutputError):  # of the broken frame that was left along with the error, had it failed by now
            sink.write(good, None)
        received = b""
        while b"image/jpeg" not in received:
            part = client.recv(65536)
            assert part, "the stream ended"
            received += part
    with suppress(OutputError):  # or had it failed later: before the good one was encoded, for frames go in order
        sink.write(good, None)
    sink.write(good, None)
    sink.close()


def test_the_loop_of_the_server_is_not_the_callers(serving: Serving) -> None:
    async def scenario() -> None:
        server = serving()
        assert (await asyncio.to_thread(get, server, "/"))[0] == 200

    asyncio.run(scenario())
