from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from edgeseg_runtime.capture.options import CaptureOptions
from edgeseg_runtime.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connect_timeout", 0.0),
        ("read_timeout", -1.0),
        ("stall_after", float("nan")),
        ("frozen_after", -0.1),
        ("rtsp_transport", "sctp"),
        ("decoder_threads", 0),
    ],
)
def test_bad_values_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=name):
        CaptureOptions(**{name: value})


def test_a_worker_is_given_time_for_two_heartbeats() -> None:
    with pytest.raises(ConfigError, match="heartbeat_timeout"):
        CaptureOptions(heartbeat=1.0, heartbeat_timeout=1.5)


def test_survives_the_way_to_the_worker() -> None:
    options = CaptureOptions(frozen_after=0, ca_file="camera.pem", rtsp_transport="udp")
    assert CaptureOptions(**asdict(options)) == options
