"""The script that measures what hostile viewers cost, end to end on a clip of a dozen frames: what it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

import viewers
from edgeseg_bench import paced_camera
from edgeseg_bench.paced_camera import age_of, encoded
from edgeseg_bench.viewer_crowd import unpack
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError

if TYPE_CHECKING:
    from tests.conftest import ColourClip, TinyModel


def test_a_picture_tells_when_it_was_due(tmp_path: Path, colour_clip: ColourClip) -> None:
    pictures = encoded(str(colour_clip(tmp_path / "clip.avi", 4, size=(64, 384))), frames=7)
    assert len(pictures) == 7
    for number in (0, 5, 6):
        image = cv2.imdecode(np.frombuffer(pictures[number], np.uint8), cv2.IMREAD_COLOR)
        due = 100.0 + number / 50
        assert age_of(image, due + 0.25, 100.0, 50.0) == pytest.approx(0.25)  # type: ignore[arg-type]
        later = due + paced_camera.FRAMES / 50  # the numbers have begun anew
        assert age_of(image, later + 0.25, 100.0, 50.0) == pytest.approx(0.25)  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [300, 1300])
def test_clips_that_cannot_hold_a_number_are_refused(tmp_path: Path, colour_clip: ColourClip, width: int) -> None:
    clip = colour_clip(tmp_path / "clip.avi", 4, size=(64, width))
    with pytest.raises(SystemExit, match="320 to 1280 pixels wide"):
        encoded(str(clip))


def test_the_verdict_is_about_medians() -> None:
    def turns(*rates: float, age: float) -> list[dict[str, float]]:
        return [{"fps": rate, "age_p99_ms": age} for rate in rates]

    alone = turns(100, 90, 110, age=30)
    for crowd, ratio, good in (
        (turns(98, 1, 99, age=150), 0.98, True),
        (turns(97, 120, 96, age=30), 0.97, False),
        (turns(100, 100, 100, age=151), 1.0, False),
    ):
        found = viewers.summary({"alone": alone, "crowd": crowd})
        assert (found["fps_ratio"], found["as_wanted"]) == (pytest.approx(ratio), good)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="above 0"):
        viewers.ViewersBench(Path("clip.mp4"), rounds=0)


def test_a_message_is_taken_apart() -> None:
    header = json.dumps({"id": 3, "jpeg_bytes": 2}).encode()
    assert unpack(len(header).to_bytes(4, "little") + header + b"xyz") == ({"id": 3, "jpeg_bytes": 2}, b"xy")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_it_writes_both_loads_and_the_verdicts(
    tmp_path: Path, colour_contract: Contract, tiny_model: TinyModel, colour_clip: ColourClip
) -> None:
    model = tiny_model(colour_contract, tmp_path / "model.onnx", stride=4)
    clip, out = colour_clip(tmp_path / "clip.avi", 12, size=(64, 384)), tmp_path / "viewers.json"
    viewers.viewers(model, config=viewers.ViewersBench(clip, (20.0, 40.0), seconds=2.0, rounds=1, out=out))
    result = json.loads(out.read_text(encoding="utf-8"))
    assert [load["camera_fps"] for load in result["loads"]] == [20, 40]
    for load in result["loads"]:
        assert set(load["turns"]) == {"alone", "crowd"}
        for (turn,) in load["turns"].values():
            assert 0 < turn["fps"] <= 1.5 * load["camera_fps"]
            assert 0 < turn["age_p50_ms"] <= turn["age_p99_ms"] < 5000
        assert load["fps_ratio"] == pytest.approx(
            load["turns"]["crowd"][0]["fps"] / load["turns"]["alone"][0]["fps"], rel=1e-2
        )
    assert result["crowd"]["idle_sockets"] == 50
    assert not list(tmp_path.glob(".*"))
