from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.optimize.measurements import Confirmation
from edgeseg.optimize.records import Outcome, Record
from edgeseg.optimize.space import Trial, Variant
from edgeseg.optimize.table import HEADERS, cells, csv_text, front_of, rows

F32, BF16, INT8 = (Variant(1.0, 0.0, name, "openvino") for name in ("float32", "bf16", "int8"))
MIXED = Variant(1.0, 0.0, "mixed", "openvino", float_layers=3)


def record(variant: Variant, ms: float, score: float | None, verdict: str | None) -> Record:
    confirmed = {} if score is None else {1: Confirmation(ms, 0.998)}
    return Record(variant, {1: ms}, None, score, confirmed, verdict)


OUTCOME = Outcome(
    0.7,
    (
        record(F32, 16.0, 0.7, "too slow: 16.00 ms"),
        record(BF16, 8.0, 0.698, None),
        record(INT8, 4.0, 0.69, "below the best"),
        record(MIXED, 5.0, 0.695, "below the best"),
        Record(replace(INT8, resolution=0.5), verdict="cannot beat it"),
    ),
    Trial(BF16, 1),
    True,
)


def test_the_table_has_every_file_and_tells_measured_from_not() -> None:
    table = rows(OUTCOME)
    assert [row.precision for row in table] == ["float32", "bf16", "int8", "mixed", "int8"]
    assert [row.float_layers for row in table] == [None, None, None, 3, None]
    assert [row.latency_ms for row in table] == [16.0, 8.0, 4.0, 5.0, None]
    assert [row.drop for row in table] == [*map(pytest.approx, (0, 0.2, 1.0, 0.5)), None]
    assert [row.verdict for row in table[:3]] == ["too slow: 16.00 ms", "chosen", "below the best"]
    assert table[4].trial is None and table[4].latency_of is None and table[1].latency_of == "file"
    assert all(len(cells(row)) == len(HEADERS) for row in table)
    assert cells(table[3])[2] == "mixed 3" and table[3].title == "1× · mixed (3 layers in float) · openvino · 1 thread"
    json.dumps([row.as_dict() for row in table], allow_nan=False)


def test_nothing_lost_has_no_sign() -> None:
    same = Outcome(0.7, (record(F32, 16.0, 0.7 + 1e-9, None),), Trial(F32, 1), True)
    assert cells(rows(same)[0])[HEADERS.index("drop")] == "0.00"


def test_csv_is_the_table() -> None:
    read = list(csv.DictReader(io.StringIO(csv_text(rows(OUTCOME)))))
    assert [entry["latency_ms"] for entry in read] == ["16.0", "8.0", "4.0", "5.0", ""]
    assert [entry["precision"] for entry in read] == ["float32", "bf16", "int8", "mixed", "int8"]
    assert [entry["float_layers"] for entry in read] == ["", "", "", "3", ""]
    assert "trial" not in read[0]


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9), st.booleans()), min_size=1, max_size=12))
def test_the_front_is_what_nothing_beats(points: list[tuple[int, int, bool]]) -> None:
    records = tuple(
        record(replace(F32, resolution=(place + 1) / 20), float(ms), score / 100 if scored else None, "x")
        for place, (ms, score, scored) in enumerate(points)
    )
    table = rows(Outcome(0.7, records, None, True))
    known = [row for row in table if row.mean_iou is not None]
    wanted = {
        row.title
        for row in known
        if not any(
            (other.latency_ms or 0, -(other.mean_iou or 0)) != (row.latency_ms or 0, -(row.mean_iou or 0))
            and (other.latency_ms or 0) <= (row.latency_ms or 0)
            and (other.mean_iou or 0) >= (row.mean_iou or 0)
            for other in known
        )
    }
    assert {row.title for row in front_of(table)} == wanted
