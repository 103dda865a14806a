from __future__ import annotations

import csv
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from edgeseg.training.runlog import CURVES, EVENTS, METRICS, RunLog, prediction_strip, read_metrics
from edgeseg.training.task import Headline
from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.errors import ConfigError

HEADLINE = Headline("mean_iou", "mIoU", ("pixel_accuracy",))


def values(epoch: int) -> dict[str, float]:
    return {"loss": 1 / 3 / epoch, "lr": 0.1, "mean_iou": 0.1 * epoch, "pixel_accuracy": 0.5, "iou/a": math.nan}


def test_numbers_are_kept_to_the_last_bit(tmp_path: Path) -> None:
    with RunLog(tmp_path, 0, HEADLINE) as log:
        for epoch in (1, 2, 3):
            log.add(epoch, values(epoch))
    rows = read_metrics(tmp_path / METRICS)
    assert [row["loss"] for row in rows] == [1 / 3, 1 / 3 / 2, 1 / 3 / 3]
    assert math.isnan(rows[0]["iou/a"])
    with (tmp_path / METRICS).open(newline="") as handle:
        assert [row["epoch"] for row in csv.DictReader(handle)] == ["1", "2", "3"]


def test_a_continued_log_is_the_same_as_one_in_one_go(tmp_path: Path) -> None:
    with RunLog(tmp_path / "whole", 0, HEADLINE) as log:
        for epoch in (1, 2, 3, 4):
            log.add(epoch, values(epoch))
    with RunLog(tmp_path / "parts", 0, HEADLINE) as log:
        for epoch in (1, 2, 3):
            log.add(epoch, values(epoch))
    with RunLog(tmp_path / "parts", 2, HEADLINE) as log:  # epoch 3 was lost
        for epoch in (3, 4):
            log.add(epoch, values(epoch))
    assert (tmp_path / "parts" / METRICS).read_bytes() == (tmp_path / "whole" / METRICS).read_bytes()
    events = EventAccumulator(str(tmp_path / "parts" / EVENTS))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3, 4]


def test_pictures_are_shown_in_their_own_colours(tmp_path: Path) -> None:
    blue = np.zeros((8, 12, 3), np.uint8)
    blue[..., 0] = 255
    with RunLog(tmp_path, 0, HEADLINE) as log:
        log.add_picture("val/x", blue, 4)
    events = EventAccumulator(str(tmp_path / EVENTS))
    events.Reload()
    (shown,) = events.Images("val/x")
    assert shown.step == 4
    picture = cv2.imdecode(np.frombuffer(shown.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(picture, blue)


@pytest.mark.parametrize("epochs", [1, 5])
def test_curves_are_drawn_from_the_first_epoch(tmp_path: Path, epochs: int) -> None:
    with RunLog(tmp_path, 0, HEADLINE) as log:
        for epoch in range(1, epochs + 1):
            log.add(epoch, values(epoch))
    picture = cv2.imread(str(tmp_path / CURVES))
    assert picture is not None
    assert picture.shape[1] > 2 * picture.shape[0]


def test_a_damaged_table_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / METRICS).write_text("epoch,loss,lr\n1,0.5,0.1\n2,0.4\n")
    with pytest.raises(ConfigError, match=r"metrics\.csv: line 3 is damaged"):
        read_metrics(tmp_path / METRICS)


def test_no_file_is_no_rows(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / METRICS) == []


def test_the_strip_is_picture_truth_and_prediction() -> None:
    contract = Contract((Label("a", (10, 20, 30)), Label("b", (40, 50, 60))), 2, 2)
    image = np.full((2, 3, 3), 7, np.uint8)
    truth, prediction = np.zeros((2, 3), np.uint8), np.ones((2, 3), np.uint8)
    strip = prediction_strip(image, truth, prediction, contract)
    assert strip.shape == (2, 9, 3)
    np.testing.assert_array_equal(strip[0, ::3], [[7, 7, 7], [30, 20, 10], [60, 50, 40]])
