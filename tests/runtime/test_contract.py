from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.contract import (
    TASK_OUTPUTS,
    ColorOrder,
    Contract,
    Interpolation,
    Label,
    Resize,
    Selection,
    Task,
    voc_color,
)
from edgeseg_runtime.errors import ContractError

LABELS = (Label("road", (128, 64, 128)), Label("car", (64, 0, 128)))
PLAIN = Contract(labels=LABELS, height=24, width=32, mean=(0.485, 0.456, 0.406))

triples = st.tuples(*[st.floats(-10, 10)] * 3)
colors = st.tuples(*[st.integers(0, 255)] * 3)
labels = st.lists(
    st.builds(Label, st.text(min_size=1), colors), min_size=1, max_size=9, unique_by=lambda x: x.name
).map(tuple)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    table, task = draw(labels), draw(st.sampled_from(get_args(Task)))
    thresholds = st.lists(st.floats(0, 1), min_size=len(table), max_size=len(table)).map(tuple)
    selections = st.builds(Selection, thresholds, st.floats(0.1, 1), st.integers(1, 300))
    rest = st.builds(
        Contract,
        labels=st.just(table),
        height=st.integers(1, 4096),
        width=st.integers(1, 4096),
        task=st.just(task),
        ignore_index=st.integers(100, 255),
        color_order=st.sampled_from(get_args(ColorOrder)),
        resize=st.sampled_from(get_args(Resize)),
        interpolation=st.sampled_from(get_args(Interpolation)),
        mean=triples,
        std=triples.map(lambda values: (abs(values[0]) + 0.1, abs(values[1]) + 0.1, abs(values[2]) + 0.1)),
        output=st.sampled_from(TASK_OUTPUTS[task]),
        selection=selections if task == "instance" else st.none(),
    )
    return draw(rest)


@given(contracts())
def test_json_round_trip_is_equal(contract: Contract) -> None:
    assert Contract.from_json(contract.to_json()) == contract
    assert Contract.from_dict(asdict(contract)) == contract


def test_json_is_readable_by_others() -> None:
    raw = json.loads(PLAIN.to_json())
    assert raw["labels"] == [
        {"name": "road", "color": [128, 64, 128]},
        {"name": "car", "color": [64, 0, 128]},
    ]
    assert raw["height"], raw["width"] == (24, 32)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"thresholds": (0.5, 1.5)}, "score thresholds must be in 0..1"),
        ({"thresholds": (), "overlap": 0.0}, "the overlap must be above 0 and at most 1, got 0.0"),
        ({"thresholds": (), "limit": 0}, "the limit must be 1 to 10000 objects, got 0"),
    ],
)
def test_a_selection_out_of_range(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ContractError, match=words):
        Selection(**values)


def test_names_and_size_follow_index_and_row_column_order() -> None:
    assert PLAIN.names == ("road", "car")
    assert PLAIN.size == (24, 32)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": ()}, "1 to 255 labels, got 0"),
        ({"task": "instance"}, "for the task instance is prototypes or detections, got 'scores'"),
        ({"output": "detections"}, "for the task semantic is scores or mask, got 'detections'"),
        ({"task": "instance", "output": "detections"}, "instance models have a selection"),
        ({"selection": Selection((0.5, 0.5))}, "instance models have a selection of objects, and no others do"),
        (
            {"task": "instance", "output": "prototypes", "selection": Selection((0.5,))},
            "2 classes need as many score thresholds, got 1",
        ),
        ({"labels": tuple(Label(str(i), (0, 0, 0)) for i in range(256))}, "got 256"),
        ({"labels": (LABELS[0], LABELS[0])}, "must differ"),
        ({"labels": (Label("road", (0, 0, 256)),)}, "0..255"),
        ({"labels": (Label("road", (0, 0)),)}, "three values"),  # type: ignore[arg-type]
        ({"height": 0}, "0×32"),
        ({"width": -1}, "24×-1"),
        ({"ignore_index": 1}, "also the class 'car'"),
        ({"std": (0.1, 0.0, 0.1)}, "std > 0"),
        ({"std": (0.1, float("nan"), 0.1)}, "finite"),
        ({"mean": (0.1, float("inf"), 0.1)}, "finite"),
        ({"mean": (0.1, 0.1)}, "three"),
        ({"task": "panoptic"}, "one of semantic, instance, got 'panoptic'"),
        ({"color_order": "rgba"}, "one of rgb, bgr"),
        ({"resize": "crop"}, "one of stretch, letterbox"),
        ({"interpolation": "cubic"}, "one of bilinear, area, nearest"),
        ({"output": "boxes"}, "one of scores, mask"),
        ({"schema": 2}, "schema 2 is unknown"),
    ],
)
def test_contradictions_are_refused_by_name(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ContractError, match=words):
        replace(PLAIN, **change)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "must be a JSON object, got list"),
        ("{}", "labels"),
        (PLAIN.to_json().replace('"height"', '"hight"'), "unknown contract field 'hight'"),
        (PLAIN.to_json().replace(":24", ':"tall"'), "mistypes"),
        (PLAIN.to_json().replace(":24", ":24.5"), "24.5 is not a whole number"),
        (PLAIN.to_json().replace(":24", ":true"), "not a whole number"),
        (PLAIN.to_json().replace("[128,64,128]", "[128,64]"), "mistypes"),
        (PLAIN.to_json().replace('"schema":1', '"schema":7'), "schema 7"),
        (PLAIN.to_json().replace("0.485", "NaN"), "finite"),
    ],
)
def test_text_that_is_no_contract_is_refused(text: str, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        Contract.from_json(text)


def test_fields_left_out_take_their_defaults() -> None:
    raw = {"labels": [{"name": "road", "color": [1, 2, 3]}], "height": 8, "width": 9}
    assert Contract.from_dict(raw) == Contract(labels=(Label("road", (1, 2, 3)),), height=8, width=9)


def test_voc_colors_are_the_published_ones() -> None:
    # the head and the void entry of the Pascal VOC development kit's colour map
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128), 15: (192, 128, 128)}
    known |= {20: (0, 64, 128), 255: (224, 224, 192)}
    assert {index: voc_color(index) for index in known} == known
    assert len({voc_color(index) for index in range(256)}) == 256
