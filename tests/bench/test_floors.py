from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import pytest

from edgeseg_bench.floors import CoreCosts, core_costs, mean_costs, median_costs, one_opencv_thread
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import SourceError
from edgeseg_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from tests.conftest import ColourClip, TinyModel


@pytest.fixture
def segmenter(tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path) -> Segmenter:
    return Segmenter.load(tiny_model(colour_contract, tmp_path / "model.onnx"), threads=1)


def test_the_bound_is_cores_over_core_seconds() -> None:
    costs = CoreCosts(read=1.0, preprocess=0.5, infer=6.0, decode=0.5)
    assert costs.total == 8.0
    assert costs.bound(1) == 125.0
    assert costs.bound(2) == 250.0
    assert costs.as_dict(2) == {
        "read_ms": 1.0,
        "preprocess_ms": 0.5,
        "infer_ms": 6.0,
        "decode_ms": 0.5,
        "draw_ms": 0.0,
        "encode_ms": 0.0,
        "total_ms": 8.0,
        "cores": 2,
        "bound_fps": 250.0,
    }


def test_the_median_is_taken_step_by_step() -> None:
    rounds = [CoreCosts(1, 20, 300, 4), CoreCosts(2, 10, 100, 5), CoreCosts(3, 30, 200, 6)]
    assert median_costs(rounds) == CoreCosts(2, 20, 200, 5)


def test_the_mean_is_taken_step_by_step() -> None:
    assert mean_costs(CoreCosts(1, 20, 300, 4, 8, 10), CoreCosts(2, 10, 100, 5, 6, 30)) == CoreCosts(
        1.5, 15, 200, 4.5, 7, 20
    )


def test_a_stream_that_puts_nothing_out_draws_and_encodes_nothing() -> None:
    assert CoreCosts(1, 20, 300, 4, 8, 10).without_output() == CoreCosts(1, 20, 300, 4)


def test_each_step_is_what_passes_on_the_clock_while_it_runs(
    segmenter: Segmenter, colour_clip: ColourClip, tmp_path: Path
) -> None:
    # start and end of: reading, preprocessing, inference with a copy of its output, the copying alone, decoding
    times = iter([0.0, 1.0, 10.0, 12.0, 20.0, 24.0, 30.0, 31.0, 40.0, 48.0])
    costs = core_costs(colour_clip(tmp_path / "clip.avi", frames=10), segmenter, clock=lambda: next(times))
    assert costs == CoreCosts(read=100.0, preprocess=200.0, infer=300.0, decode=800.0)
    assert next(times, None) is None


def test_drawing_and_encoding_are_steps_of_their_own(
    segmenter: Segmenter, colour_clip: ColourClip, tmp_path: Path
) -> None:
    # after those above: start and end of drawing, and of encoding
    times = iter([0.0, 1.0, 10.0, 12.0, 20.0, 24.0, 30.0, 31.0, 40.0, 48.0, 50.0, 50.5, 60.0, 61.5])
    clip = colour_clip(tmp_path / "clip.avi", frames=10)
    costs = core_costs(clip, segmenter, clock=lambda: next(times), video=".mp4")
    assert costs == CoreCosts(read=100.0, preprocess=200.0, infer=300.0, decode=800.0, draw=50.0, encode=150.0)
    assert costs.total == 1600.0
    assert next(times, None) is None


def test_the_limit_is_what_costs_are_shared_among(
    segmenter: Segmenter, colour_clip: ColourClip, tmp_path: Path
) -> None:
    times = iter([0.0, 1.0, 10.0, 12.0, 20.0, 24.0, 30.0, 31.0, 40.0, 48.0])
    costs = core_costs(colour_clip(tmp_path / "clip.avi", frames=10), segmenter, 4, clock=lambda: next(times))
    assert costs.read == 250.0


def test_opencv_gets_its_threads_back() -> None:
    before = cv2.getNumThreads()
    with pytest.raises(ZeroDivisionError), one_opencv_thread():
        assert cv2.getNumThreads() == 1
        _ = 1 / 0
    assert cv2.getNumThreads() == before


def test_a_clip_that_cannot_be_read_is_named(segmenter: Segmenter, tmp_path: Path) -> None:
    (tmp_path / "clip.avi").write_bytes(b"no video")
    with pytest.raises(SourceError, match=r"clip\.avi"):
        core_costs(tmp_path / "clip.avi", segmenter)
