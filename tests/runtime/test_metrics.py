from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from edgeseg_runtime.metrics import ConfusionMatrix, Scores, confusion_counts

Array = npt.NDArray[Any]
IGNORE = 255


def pair(seed: int, classes: int, size: int = 60, ignored: float = 0.1) -> tuple[Array, Array]:
    """Truth and prediction; the last class is in neither, the one before in the truth alone."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, max(1, classes - 1), (size, size), np.uint8)
    prediction = np.where(rng.random((size, size)) < 0.6, truth, rng.integers(0, max(1, classes - 2), (size, size)))
    truth[rng.random((size, size)) < ignored] = IGNORE
    return truth, np.minimum(prediction, max(0, classes - 3)).astype(np.uint8)


@given(st.integers(0, 1000), st.integers(2, 12))
def test_every_metric_is_scikit_learns(seed: int, classes: int) -> None:
    truth, prediction = pair(seed, classes)
    kept = truth != IGNORE
    flat = truth[kept], prediction[kept]
    names = list(range(classes))
    scores = Scores(confusion_counts(truth, prediction, classes, IGNORE))

    confusion = reference.confusion_matrix(*flat, labels=names)
    np.testing.assert_array_equal(scores.confusion, confusion)
    present = confusion.sum(0) + confusion.sum(1) > 0
    called, there = confusion.sum(0) > 0, confusion.sum(1) > 0
    iou = reference.jaccard_score(*flat, labels=names, average=None, zero_division=0.0)
    precision, recall, f1, _ = reference.precision_recall_fscore_support(*flat, labels=names, zero_division=0.0)
    np.testing.assert_allclose(scores.iou, np.where(present, iou, np.nan))
    np.testing.assert_allclose(scores.precision, np.where(called, precision, np.nan))
    np.testing.assert_allclose(scores.recall, np.where(there, recall, np.nan))
    np.testing.assert_allclose(scores.f1, np.where(present, f1, np.nan))
    assert scores.mean_iou == pytest.approx(iou[present].mean())
    assert scores.pixel_accuracy == pytest.approx(reference.accuracy_score(*flat))


def test_by_hand() -> None:
    truth = np.array([[0, 0, 1], [1, 2, 255]], np.uint8)
    prediction = np.array([[0, 1, 1], [1, 1, 0]], np.uint8)
    scores = Scores(confusion_counts(truth, prediction, 4, IGNORE))
    np.testing.assert_allclose(scores.iou, [1 / 2, 2 / 4, 0, np.nan])
    assert scores.mean_iou == pytest.approx(1 / 3)
    assert scores.pixel_accuracy == pytest.approx(3 / 5)
    np.testing.assert_allclose(scores.precision, [1, 2 / 4, np.nan, np.nan])
    np.testing.assert_allclose(scores.recall, [1 / 2, 1, 0, np.nan])


def test_pictures_add_up_to_one_large_picture() -> None:
    pairs = [pair(seed, 6) for seed in range(4)]
    matrix = ConfusionMatrix(6, IGNORE)
    for truth, prediction in pairs:
        matrix.update(truth, prediction)
    whole = confusion_counts(
        np.concatenate([truth for truth, _ in pairs]),
        np.concatenate([prediction for _, prediction in pairs]),
        6,
        IGNORE,
    )
    np.testing.assert_array_equal(matrix.compute().confusion, whole)


def test_results_already_given_do_not_change_afterwards() -> None:
    matrix = ConfusionMatrix(6, IGNORE)
    matrix.update(*pair(1, 6))
    scores = matrix.compute()
    before = scores.confusion.copy()
    matrix.update(*pair(2, 6))
    np.testing.assert_array_equal(scores.confusion, before)
    matrix.reset()
    assert matrix.compute().confusion.sum() == 0
    np.testing.assert_array_equal(scores.confusion, before)


def test_nothing_to_measure_is_nan_and_null_never_zero_or_one() -> None:
    empty = Scores(np.zeros((3, 3), np.int64))
    assert np.isnan(empty.mean_iou) and np.isnan(empty.pixel_accuracy) and np.isnan(empty.iou).all()
    summary = empty.as_dict(("a", "b", "c"))
    assert summary["mean_iou"] is None and summary["pixel_accuracy"] is None
    json.dumps(summary, allow_nan=False)


def test_summary_names_the_classes_and_survives_json() -> None:
    truth, prediction = pair(3, 4)
    scores = Scores(confusion_counts(truth, prediction, 4, IGNORE))
    summary = json.loads(json.dumps(scores.as_dict(("sky", "road", "car", "sign")), allow_nan=False))
    assert summary["mean_iou"] == pytest.approx(scores.mean_iou)
    assert summary["classes"]["road"]["iou"] == pytest.approx(scores.iou[1])
    assert summary["classes"]["sign"] == {"iou": None, "precision": None, "recall": None, "f1": None, "pixels": 0}
    assert sum(entry["pixels"] for entry in summary["classes"].values()) == (truth != IGNORE).sum()
    assert summary["mean_f1"] == pytest.approx(np.nanmean(scores.f1))


def test_ignored_pixels_count_nowhere_whatever_was_predicted() -> None:
    truth = np.full((5, 5), IGNORE, np.uint8)
    for value in (0, 2, 200, 255):
        assert confusion_counts(truth, np.full((5, 5), value, np.uint8), 3, IGNORE).sum() == 0


def test_many_classes_do_not_overflow_the_bytes_of_a_mask() -> None:
    truth = np.full((10, 10), 254, np.uint8)
    assert confusion_counts(truth, truth, 255, IGNORE)[254, 254] == 100


@pytest.mark.parametrize("value", [3, 254])
def test_labels_outside_the_table_are_refused(value: int) -> None:
    good, bad = np.zeros((2, 2), np.uint8), np.full((2, 2), value, np.uint8)
    for truth, prediction in ((good, bad), (bad, good)):
        with pytest.raises(ValueError, match="3 classes"):
            confusion_counts(truth, prediction, 3, IGNORE)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"):
        confusion_counts(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), 3, IGNORE)


def test_a_single_class_is_all_right_or_not_there() -> None:
    mask = np.zeros((3, 3), np.uint8)
    scores = Scores(confusion_counts(mask, mask, 1, IGNORE))
    assert scores.mean_iou == scores.pixel_accuracy == 1
