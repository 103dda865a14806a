from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.optimize.budget import Budget
from edgeseg.optimize.choice import nearest, reason
from edgeseg.optimize.measurements import Confirmation, Estimate
from edgeseg.optimize.plot import draw
from edgeseg.optimize.records import Outcome, Record
from edgeseg.optimize.space import Trial, Variant
from edgeseg.optimize.table import cells, rows

F32, BF16, INT8 = (Variant(1.0, 0.0, name, "openvino") for name in ("float32", "bf16", "int8"))
SMALL = Variant(0.5, 0.0, "int8", "openvino")


def record(
    variant: Variant,
    ms: float | None,
    score: float | None = None,
    verdict: str | None = None,
    quick: float | None = None,
) -> Record:
    return Record(
        variant,
        {} if ms is None else {1: ms},
        None if quick is None else Estimate(quick, quick + 0.01),
        score,
        {1: Confirmation(ms, 0.998)} if score is not None and ms is not None else {},
        verdict,
    )


MET = Outcome(
    0.7,
    (
        record(F32, 16.0, 0.7, "too slow: 16.00 ms"),
        record(BF16, 8.0, 0.698),
        record(INT8, 4.0, 0.69, "below the best"),
        record(SMALL, None, None, "cannot beat it"),
    ),
    Trial(BF16, 1),
    True,
)
TOO_SLOW = Outcome(
    0.7,
    (record(F32, 16.0, None, "too slow"), record(INT8, 4.0, None, "too slow"), record(SMALL, 2.5, None, "too slow")),
    None,
    True,
)
TOO_BAD = Outcome(
    0.7,
    (record(F32, 16.0, 0.7, "too slow"), record(INT8, 4.0, 0.682, "loses"), record(SMALL, 2.0, 0.65, "loses")),
    None,
    True,
)


def test_the_reason_holds_the_numbers_and_the_neighbours() -> None:
    text = reason(MET, Budget(9.0, 0.5))
    assert text.startswith(
        "1× · bf16 · openvino · 1 thread: 8.00 ms from picture to mask, 9 are allowed; "
        "69.80 mIoU, 0.20 points below the original's 70.00, 0.5 are allowed."
    )
    assert "The next above it, 1× · float32 · openvino · 1 thread with 70.00, is out: too slow: 16.00 ms." in text
    assert "The next faster, 1× · int8 · openvino · 1 thread, takes 4.00 ms for 69.00." in text
    assert "time was up" in reason(replace(MET, finished=False), Budget(9.0))


def test_where_all_are_too_slow_the_fastest_is_nearest() -> None:
    row, text = nearest(TOO_SLOW, Budget(2.0, 0.5))
    assert row is not None and row.trial == Trial(SMALL, 1)
    assert "nearest is 0.5× · int8 · openvino · 1 thread: 2.50 ms, 0.50 ms (25 %) over the 2 allowed" in text
    assert "--latency 2.5ms, which 0.5× · int8 · openvino · 1 thread meets if its masks are good enough" in text


def test_where_the_fast_ones_lose_too_much_the_best_of_them_is_nearest() -> None:
    row, text = nearest(TOO_BAD, Budget(5.0, 0.5))
    assert row is not None and row.trial == Trial(INT8, 1)
    assert "68.20 mIoU is 1.80 points below the original's 70.00, 1.30 more than allowed" in text
    assert "--max-drop 1.8, which it meets; --latency 16ms, which 1× · float32 · openvino · 1 thread meets" in text
    assert "mixed and qat among --precisions" in text


@pytest.mark.parametrize("outcome", [TOO_SLOW, TOO_BAD])
@given(latency=st.floats(0.01, 2.4), drop=st.floats(0, 1.7))
def test_the_advice_would_meet_the_budget(outcome: Outcome, latency: float, drop: float) -> None:
    row, text = nearest(outcome, Budget(latency, drop))
    assert row is not None and row.latency_ms is not None
    for word in text.replace(",", "").split("--"):
        if word.startswith("latency "):
            assert float(word.split()[1].removesuffix("ms")) >= min(r.latency_ms for r in rows(outcome) if r.latency_ms)
        if word.startswith("max-drop "):
            assert row.drop is not None and float(word.split()[1]) >= row.drop


def test_what_only_a_few_pictures_showed_says_so() -> None:
    outcome = Outcome(0.7, (record(INT8, 4.0, None, "loses at least 5.00 points", quick=0.64),), None, True)
    row, text = nearest(outcome, Budget(5.0, 0.5))
    assert row is not None and row.mean_iou is None
    assert "4.00 ms holds 5 ms, but it loses at least 5.00 points (seen on a few pictures)" in text
    assert cells(row)[6] == "~64.00"


def test_where_nothing_could_be_measured_the_first_reason_is_given() -> None:
    outcome = Outcome(0.7, (record(INT8, None, None, "the net does not take this size"),), None, False)
    row, text = nearest(outcome, Budget(5.0))
    assert row is None
    assert text.startswith("no trial could be measured: the net does not take this size. Time was up")


@pytest.mark.parametrize("outcome", [MET, TOO_BAD])
def test_the_picture_is_drawn(outcome: Outcome, tmp_path: Path) -> None:
    path = tmp_path / "pareto.png"
    assert draw(rows(outcome), path, Budget(5.0, 0.5), outcome.original, outcome.best, "latency (ms)")
    picture = cv2.imread(str(path))
    assert picture is not None and picture.std() > 5


def test_without_a_score_there_is_nothing_to_draw(tmp_path: Path) -> None:
    assert not draw(rows(TOO_SLOW), tmp_path / "pareto.png", Budget(2.0), 0.7, None, "latency (ms)")
    assert not list(tmp_path.iterdir())
