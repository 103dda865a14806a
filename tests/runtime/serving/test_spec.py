from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.events import Event, Events
from edgeseg_runtime.serving.report import Reporter, display_name
from edgeseg_runtime.serving.spec import ModelSpec, ServingOptions


def test_what_is_sent_is_read_back_equal(colour_contract: Contract) -> None:
    for contract in (None, colour_contract):
        spec = ModelSpec(Path("a b/ü.onnx"), "openvino", "gpu", 3, contract, smooth=True, adapt=True)
        assert ModelSpec.from_dict(json.loads(json.dumps(spec.as_dict()))) == spec


def test_other_devices_get_more_time_to_load() -> None:
    options = ServingOptions()
    assert (options.load_limit("cpu"), options.load_limit("tensorrt")) == (60, 600)
    assert ServingOptions(load_seconds=7).load_limit("tensorrt") == 7


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("exports/openvino-int8/model.xml", "openvino-int8"),
        ("street.onnx", "street"),
        ("model.onnx", "model"),
        ("/model.onnx", "model"),
    ],
)
def test_a_model_is_called_what_people_call_it(path: str, name: str) -> None:
    assert display_name(path) == name


def test_failures_are_told_once_a_second_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Event] = []
    events = Events()
    events.subscribe(told.append)
    now = 100.0
    monkeypatch.setattr("edgeseg_runtime.serving.report.monotonic", lambda: now)
    report, spec = Reporter(events), ModelSpec(Path("m.onnx"))
    for number in range(25):
        now = 100 + number / 10
        report.failed(spec, "raised", f"line {number}")
    assert [(event.data["line"], event.data["failures"]) for event in told] == [
        ("line 0", 1),
        ("line 10", 10),
        ("line 20", 10),
    ]
