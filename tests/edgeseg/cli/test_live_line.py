from __future__ import annotations

from dataclasses import replace

from edgeseg.cli.live_line import live_text, model_texts
from edgeseg_runtime.live.status import ModelStatus, Status
from edgeseg_runtime.live.summary import LiveSummary

MODEL = ModelStatus("net", "net.onnx", "onnxruntime", "cpu", "float32", False, 0)


def test_what_was_done_with_the_model_is_told_and_nothing_else() -> None:
    assert model_texts(MODEL) == []
    sizes = {"176×240": 7, "272×360": 0, "360×480": 1200}
    assert model_texts(replace(MODEL, smoothed=True, sizes=sizes)) == [
        "masks smoothed over time",
        "frames by the model's input size: 1200 at 360×480, 0 at 272×360, 7 at 176×240",
    ]


def test_the_end_tells_it() -> None:
    summary = LiveSummary(Status(1.0, replace(MODEL, smoothed=True), (), (), {}), "limit")
    assert live_text(summary) == "  masks smoothed over time"
    assert summary.as_dict()["model"]["smoothed"] is True
