from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from edgeseg_bench.accuracy import NO_CLASS, mean_iou
from edgeseg_bench.frames import pattern
from edgeseg_bench.report import HEADERS, Row, cells, document, load_average
from edgeseg_bench.subjects import Extra, plan
from edgeseg_bench.suite import Scoring, run_suite
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.preprocess import Image, Mask

if TYPE_CHECKING:
    from tests.conftest import TinyModel

COLOURS = np.array([[0, 0, 255], [0, 255, 0], [255, 0, 0]], np.uint8)


@dataclass(frozen=True)
class Sample:
    image: Image
    mask: Mask


class Painted:
    """Pictures whose truth is what they are painted in, but for a share of wrong labels."""

    def __init__(self, count: int, wrong_rows: int = 0) -> None:
        self.count, self.wrong_rows = count, wrong_rows

    def __len__(self) -> int:
        return self.count

    def read(self, index: int) -> Sample:
        mask = np.random.default_rng(index).integers(0, 3, (24, 32), np.uint8)
        truth = mask.copy()
        truth[: self.wrong_rows] = (truth[: self.wrong_rows] + 1) % 3
        truth[-1] = NO_CLASS
        return Sample(COLOURS[mask], truth)


@pytest.fixture
def model(tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path) -> Path:
    return tiny_model(colour_contract, tmp_path / "net.onnx")


def test_every_case_and_extra_becomes_a_row(model: Path, colour_contract: Contract) -> None:
    frames = [Painted(1).read(0).image]
    asked: list[int] = []
    extra = Extra(
        "original", "python", "float32", colour_contract.names, lambda f: np.zeros(f.shape[:2], np.uint8), asked.append
    )
    threads_before = cv2.getNumThreads()
    rows = run_suite(plan([model], [1, 2]), frames, 0.02, Scoring(Painted(3), colour_contract.names), [extra])
    assert cv2.getNumThreads() == threads_before and set(asked) == {1, 2}
    assert [(row.name, row.engine, row.threads) for row in rows] == [
        ("original", "python", 1),
        ("original", "python", 2),
        ("net", "onnxruntime", 1),
        ("net", "onnxruntime", 2),
        ("net", "openvino", 1),
        ("net", "openvino", 2),
    ]
    for row in rows:
        known = row.file is not None
        assert (row.size_bytes is not None) is (row.peak_rss_bytes is not None) is (row.stages_ms is not None) is known
        assert 0 < row.p50_ms <= row.p95_ms <= row.p99_ms and row.fps > 0 and row.frames >= 5
        assert row.mean_iou == (1.0 if known else pytest.approx(rows[0].mean_iou))
        assert len(cells(row)) == len(HEADERS)
    assert rows[0].mean_iou is not None and rows[0].mean_iou < 0.3
    assert rows[2].size_bytes == model.stat().st_size


def test_wrong_settings_are_refused_before_anything_is_measured(model: Path, colour_contract: Contract) -> None:
    cases = plan([model], [1], ["onnxruntime"])
    frame = Painted(1).read(0).image
    with pytest.raises(ConfigError, match="at least one frame"):
        run_suite(cases, [])
    with pytest.raises(ConfigError, match="more than 0, got 0"):
        run_suite(cases, [frame], 0)
    with pytest.raises(ConfigError, match=r"net knows the classes red, green, blue; the pictures have a, b, c"):
        run_suite(cases, [frame], 0.01, Scoring(Painted(1), ("a", "b", "c")))


def test_accuracy_leaves_out_pixels_without_a_class() -> None:
    def perfect(frame: Image) -> Mask:
        return np.asarray(2 - frame.argmax(axis=2), np.uint8)

    assert mean_iou(perfect, Painted(2), 3, "x") == 1.0
    # 8 of the 23 scored rows are wrong: by symmetry each class has about (15) / (23 + 8) in common
    assert mean_iou(perfect, Painted(20, wrong_rows=8), 3, "x") == pytest.approx(15 / 31, abs=0.01)


def test_accuracy_over_nothing_is_unknown() -> None:
    assert mean_iou(lambda frame: frame[..., 0], Painted(0), 3, "x") is None


def test_the_document_is_plain_json_with_the_machine_in_it() -> None:
    row = Row("a", "openvino", "int8", 1, "f.xml", 9, 1.5, 2.0, 2.5, None, 9.0)
    loads = load_average()
    text = json.dumps(document([row], [{"worth_it": None}], {"seconds": 3}, (loads, loads)), allow_nan=False)
    result = json.loads(text)
    assert result["machine"]["cpu"]["cores"] >= 1 and "onnxruntime" in result["machine"]["packages"]
    assert Row(**result["rows"][0]) == row
    assert result["settings"] == {"seconds": 3} and result["verdicts"] == [{"worth_it": None}]
    assert result["load_average"]["before"] == loads


def test_cells_show_a_dash_for_what_is_unknown_and_numbers_for_the_rest() -> None:
    row = Row(
        "a", "openvino", "int8", 1, "f.xml", 9, 1.5, 2.0, 2.567, {"preprocess": 0.1, "infer": 1.2, "decode": 0.2}, 99.94
    )
    assert " ".join(cells(row)) == "a openvino int8 1 1.50 2.00 2.57 0.10 1.20 0.20 99.9 – – – – –"
    full = replace(row, load_ms=30.2, first_mask_ms=1.9, size_bytes=1_234_567, peak_rss_bytes=99_600_000, mean_iou=0.7)
    assert cells(full)[-5:] == ["32", "1.23", "100", "0.7000", "–"]
    assert (full.accuracy, full.metric) == (0.7, "mIoU")
    objects = replace(full, mean_iou=None, mask_ap=0.3)
    assert cells(objects)[-2:] == ["–", "0.3000"]
    assert (objects.accuracy, objects.metric) == (0.3, "mask AP")


@pytest.mark.parametrize(("count", "height", "width"), [(1, 1, 1), (3, 48, 64), (2, 7, 300)])
def test_the_pattern_is_frames_that_move_and_are_always_the_same(count: int, height: int, width: int) -> None:
    frames = pattern(count, height, width)
    assert [frame.shape for frame in frames] == [(height, width, 3)] * count
    assert all(frame.dtype == np.uint8 and frame.flags.c_contiguous for frame in frames)
    for one, other in zip(frames, pattern(count, height, width), strict=True):
        np.testing.assert_array_equal(one, other)
    if count > 1:
        assert (frames[0] != frames[1]).any()
