"""Finding out soon that a camera is back."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from edgeseg_runtime.capture import knock as knocking
from edgeseg_runtime.capture.knock import knock
from edgeseg_runtime.capture.states import Lost
from tests.runtime.capture.conftest import PATIENCE, Watch
from tests.servers.rtsp import RtspServer
from tests.servers.several import Serve


def test_nothing_answers(camera_server: Serve) -> None:
    server = camera_server(RtspServer)
    server.cut_power()
    began = time.monotonic()
    with pytest.raises(Lost, match="timeout"):
        knock(server.url, 0.5)
    assert time.monotonic() - began >= 0.5


def test_what_answers_is_left_to_whoever_connects(camera_server: Serve) -> None:
    server = camera_server(RtspServer)
    knock(server.url, PATIENCE)
    server.down()
    knock(server.url, PATIENCE)  # refused


@pytest.mark.parametrize("url", ["srt://127.0.0.1:9", "udp://127.0.0.1:9", "hls+http://127.0.0.1:9/x", "rtsp:///x"])
def test_what_cannot_be_knocked_at_is_left_alone(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("socket.create_connection", never)
    knock(url, PATIENCE)


def test_a_proxy_knows_better(monkeypatch: pytest.MonkeyPatch, camera_server: Serve) -> None:
    server = camera_server(RtspServer)
    server.cut_power()
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    knock(server.url.replace("rtsp://", "http://"), PATIENCE)


def test_attempts_are_short_so_that_a_return_is_found_soon(
    monkeypatch: pytest.MonkeyPatch, camera_server: Serve
) -> None:
    """By the attempts made: a kernel left to itself asks again only after 1, 3 and 7 s."""
    asked: list[float] = []
    now = 100.0

    def connect(_address: object, timeout: float) -> None:
        nonlocal now
        asked.append(now)
        now += timeout
        raise TimeoutError

    monkeypatch.setattr(knocking, "monotonic", lambda: now)
    monkeypatch.setattr("socket.create_connection", connect)
    with pytest.raises(Lost):
        knock("rtsp://10.0.0.7/1", 5.0)
    assert now == pytest.approx(105.0)
    assert max(later - earlier for earlier, later in pairwise(asked)) <= 1.0


@pytest.mark.slow
def test_a_camera_without_power_is_noticed_and_found_again(watch: Watch, camera_server: Serve) -> None:
    server = camera_server(RtspServer)
    watched = watch(server.url)
    watched.live()
    server.cut_power()
    watched.wait("stalled", "no frames")
    watched.wait("reconnecting", "timeout")
    back_at = time.monotonic()
    server.restore_power()
    seen = watched.look(frames=3)
    assert all(one.stamp is not None and one.stamp.made_at > back_at for one in seen)
    assert seen[0].captured_at - back_at < 2.0
