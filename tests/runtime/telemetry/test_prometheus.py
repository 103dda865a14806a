from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.live.account import Account
from edgeseg_runtime.live.status import CameraStatus, ModelStatus, OutputStatus, Percentiles, Status
from edgeseg_runtime.telemetry.metrics_server import MetricsServer
from edgeseg_runtime.telemetry.process import process_figures
from edgeseg_runtime.telemetry.prometheus import CONTENT_TYPE, STATES, metrics_text

MODEL = ModelStatus("fast_scnn", "/models/a.onnx", "onnxruntime", "CPU", "float32", False, 3)


def camera(name: str = "door", state: str = "live", account: Account | None = None) -> CameraStatus:
    account = account or Account(100, 60, 20, 1, {"overtaken": 15, "stopped": 2})
    ages = Percentiles(10.0, 20.0, 30.5)
    return CameraStatus(name, f"rtsp://***@{name}/x", state, None, 4.5, (480, 640), account, 25.0, 24.5, ages, ages)


def status(*cameras: CameraStatus) -> Status:
    outputs = (OutputStatus("video", 80, {"slow": 3}), OutputStatus("web", 0, {}, "no space"))
    stages = {"infer": Percentiles(5.0, 6.0, 7.0), "draw": Percentiles()}
    return Status(12.25, MODEL, cameras, outputs, stages)


def parsed(text: str) -> dict[str, Metric]:
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))  # a family that comes twice is not valid
    return {family.name: family for family in families}


def value(text: str, sample: str, **labels: str) -> float:
    found = [
        one.value
        for family in parsed(text).values()
        for one in family.samples
        if (one.name, one.labels) == (sample, labels)
    ]
    assert len(found) == 1, (sample, labels, found)
    return found[0]


def assert_accounts_balance(text: str) -> None:
    """The identity, as whoever reads the page can check it."""
    samples = [one for family in parsed(text).values() for one in family.samples]

    def total(name: str, **labels: str) -> float:
        return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())

    names = {one.labels["camera"] for one in samples if one.name == "edgeseg_captured_total"}
    assert names
    for name in names:
        decided = total("edgeseg_frames_total", camera=name)
        assert total("edgeseg_captured_total", camera=name) == decided + total("edgeseg_frames_in_flight", camera=name)
        dropped = total("edgeseg_frames_total", camera=name, fate="dropped")
        assert dropped == total("edgeseg_dropped_total", camera=name)


def test_the_official_parser_reads_every_figure() -> None:
    text = metrics_text(status(camera(), camera("yard", "stalled")))
    assert value(text, "edgeseg_uptime_seconds") == 12.25
    facts = {"name": "fast_scnn", "engine": "onnxruntime", "device": "CPU", "precision": "float32"}
    assert value(text, "edgeseg_model_info", **facts) == 1
    assert value(text, "edgeseg_model_degraded") == 0
    assert value(text, "edgeseg_model_restarts_total") == 3
    assert value(text, "edgeseg_captured_total", camera="yard") == 100
    assert value(text, "edgeseg_frames_total", camera="door", fate="reused") == 20
    assert value(text, "edgeseg_dropped_total", camera="door", cause="overtaken") == 15
    assert value(text, "edgeseg_frames_in_flight", camera="door") == 2
    assert value(text, "edgeseg_source_state", camera="yard", state="stalled") == 1
    assert value(text, "edgeseg_source_state", camera="yard", state="live") == 0
    assert value(text, "edgeseg_source_state_seconds", camera="yard") == 4.5
    assert value(text, "edgeseg_source_info", camera="yard", title="rtsp://***@yard/x") == 1
    assert value(text, "edgeseg_picture_age_seconds", camera="door", quantile="0.99") == pytest.approx(0.0305)
    assert value(text, "edgeseg_mask_age_seconds", camera="door", quantile="0.5") == pytest.approx(0.01)
    assert value(text, "edgeseg_stage_seconds", stage="infer", quantile="0.95") == pytest.approx(0.006)
    assert value(text, "edgeseg_output_written_total", output="video") == 80
    assert value(text, "edgeseg_output_dropped_total", output="video", cause="slow") == 3
    assert value(text, "edgeseg_output_failing", output="web") == 1
    assert value(text, "edgeseg_output_failing", output="video") == 0
    for family in parsed(text).values():
        assert family.documentation and family.type in ("gauge", "counter")
        assert family.samples


def test_a_camera_is_in_one_state() -> None:
    for state in STATES:
        text = metrics_text(status(camera(state=state)))
        assert sum(value(text, "edgeseg_source_state", camera="door", state=one) for one in STATES) == 1


def test_what_was_not_measured_is_not_there() -> None:
    text = metrics_text(status(camera()))
    assert 'stage="draw"' not in text
    nothing = Status(0.0, MODEL, (), (), {})
    assert "edgeseg_source_state" not in metrics_text(nothing)  # and no family without a sample


@given(st.lists(st.tuples(*[st.integers(0, 10**12)] * 6), min_size=1, max_size=4))
def test_the_account_balances_for_every_camera(counts: list[tuple[int, ...]]) -> None:
    cameras = [
        camera(f"c{place}", account=Account(sum(one), one[0], one[1], one[2], {"overtaken": one[3], "stopped": one[4]}))
        for place, one in enumerate(counts)
    ]
    text = metrics_text(status(*cameras))
    assert_accounts_balance(text)
    for place, one in enumerate(counts):
        assert value(text, "edgeseg_frames_in_flight", camera=f"c{place}") == one[5]


def test_a_page_that_loses_a_drop_does_not_balance() -> None:
    text = metrics_text(status(camera()))
    spoilt = text.replace('edgeseg_dropped_total{camera="door",cause="stopped"} 2\n', "")
    assert spoilt != text
    with pytest.raises(AssertionError):
        assert_accounts_balance(spoilt)


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_name_comes_back_as_it_was(name: str) -> None:
    text = metrics_text(status(camera(name)))
    families = list(text_string_to_metric_families(text))
    assert {one.labels["camera"] for family in families for one in family.samples if "camera" in one.labels} == {name}


def test_names_that_are_no_text_do_not_break_the_page() -> None:
    text = metrics_text(status(camera(b"caf\xe9".decode("utf-8", "surrogateescape"))))
    assert "caf?" in text.encode().decode()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="this system has no /proc")
def test_the_process_is_measured() -> None:
    before, over = process_figures(), threading.Event()
    helpers = [threading.Thread(target=over.wait) for _ in range(3)]
    sockets = [socket.socket() for _ in range(5)]
    ballast = bytearray(b"x" * 64_000_000)
    for helper in helpers:
        helper.start()
    after = process_figures()
    over.set()
    for helper in helpers:
        helper.join()
    for one in sockets:
        one.close()
    assert after["threads"] - before["threads"] == 3
    assert after["open_fds"] - before["open_fds"] == 5
    assert after["resident_memory_bytes"] - before["resident_memory_bytes"] > 0.8 * len(ballast)
    assert after["cpu_seconds_total"] > 0
    assert "process_threads" in metrics_text(status())


@contextmanager
def serving() -> Iterator[MetricsServer]:
    server = MetricsServer(lambda: status(camera()), port=0)
    try:
        yield server
    finally:
        server.close()
        server.close()


def test_the_server_gives_the_page_and_nothing_else() -> None:
    with serving() as server:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
            assert answer.headers["Content-Type"] == CONTENT_TYPE
            assert_accounts_balance(answer.read().decode())
        for path in ("/", "/metrics/../etc/passwd"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10)
            assert refused.value.code == 404
            refused.value.close()
        assert server._server.server_address[0] == "127.0.0.1"
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", server.port), 5)


def test_a_port_in_use_is_named() -> None:
    with serving() as server, pytest.raises(OutputError, match=rf"127\.0\.0\.1:{server.port}: Address already in use"):
        MetricsServer(lambda: status(), port=server.port)


def test_a_degraded_model_shows() -> None:
    bad = replace(status(camera()), model=replace(MODEL, degraded=True))
    assert value(metrics_text(bad), "edgeseg_model_degraded") == 1


def test_what_a_model_is_worked_with_shows() -> None:
    text = metrics_text(
        replace(status(camera()), model=replace(MODEL, smoothed=True, sizes={"180×240": 5, "360×480": 7}))
    )
    assert value(text, "edgeseg_model_smoothed") == 1
    assert value(text, "edgeseg_model_frames_total", size="180×240") == 5
    assert value(text, "edgeseg_model_frames_total", size="360×480") == 7
    plain = metrics_text(status(camera()))
    assert value(plain, "edgeseg_model_smoothed") == 0
    assert "edgeseg_model_frames_total" not in plain
