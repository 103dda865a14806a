from __future__ import annotations

from dataclasses import replace

from edgeseg.cli.live_line import area_texts, count_texts, live_text, model_texts
from edgeseg_runtime.instances.counts import Counts, LineCount, ZoneCount
from edgeseg_runtime.instances.lines import CountLine
from edgeseg_runtime.live.status import ModelStatus, Status
from edgeseg_runtime.live.summary import LiveSummary
from edgeseg_runtime.zones.polygon import Zone

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


def test_counts_are_told_line_by_line_and_zone_by_zone() -> None:
    zone = Zone("yard", ((0, 0), (1, 0), (1, 1)))
    counts = Counts(
        lines=(LineCount(CountLine("door", (0, 0.5), (1, 0.5)), {"car": 2, "person": 1}, {}),),
        zones=(ZoneCount(zone, {"car": 1}, {"car": 5}),),
    )
    assert count_texts(counts) == ["line door: in 2 car, 1 person; out 0", "zone yard: entered by 5 car"]
    assert count_texts(Counts({"car": 3})) == []


def test_areas_of_zones_are_told_the_largest_first() -> None:
    areas = {"door": {"road": 0.25, "car": 0.5, "cat": 0.0004}, "speck": {}}
    assert area_texts(areas) == ["zone door: 50.0% car, 25.0% road", "zone speck: no class"]
