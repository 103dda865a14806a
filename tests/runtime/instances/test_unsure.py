"""What a tracker is told of besides changes nothing of what everybody is told of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg_runtime.contract import Selection
from edgeseg_runtime.instances.decode import InstanceDecoder
from edgeseg_runtime.instances.following import chosen
from edgeseg_runtime.instances.tracking import sure_ones, unsure_thresholds
from tests.instance_model import instance_contract

SELECTION = Selection((0.2, 0.5, 0.8), overlap=0.5)


@pytest.mark.parametrize("output", ["prototypes", "detections"])
@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_of_what_is_told_with_unsure_objects_the_sure_ones_are_what_is_told_without(output: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    contract = instance_contract(output, selection=SELECTION)
    count = 20
    corners = rng.uniform((0, 0), (50, 36), (count, 2))
    boxes = np.hstack([corners, corners + rng.uniform(2, 14, (count, 2))]).astype(np.float32)
    # one class of a candidate is far above the others, as it is with trained models
    scores = rng.uniform(0, 0.03, (count, 3)).astype(np.float32)
    scores[np.arange(count), rng.integers(0, 3, count)] = rng.uniform(0, 1, count).astype(np.float32) ** 2
    prototypes = rng.normal(size=(2, 24, 32)).astype(np.float32)
    if output == "prototypes":
        outputs = (boxes, scores, rng.normal(size=(count, 2)).astype(np.float32), prototypes)
    else:
        order = np.argsort(-scores.max(axis=1))
        masks = rng.uniform(0, 1, (count, 8, 8)).astype(np.float32)
        outputs = (boxes, scores.argmax(axis=1)[order], scores.max(axis=1)[order], masks)
    plain = InstanceDecoder(contract)(outputs, 60, 80)
    more = InstanceDecoder(contract, unsure_thresholds(SELECTION))(outputs, 60, 80)
    sure = np.flatnonzero(sure_ones(more))
    assert len(more) >= len(plain) == len(sure)
    assert more.contract == contract
    fewer = chosen(more, sure, ())
    np.testing.assert_array_equal(fewer.boxes, plain.boxes)
    np.testing.assert_array_equal(fewer.labels, plain.labels)
    np.testing.assert_array_equal(fewer.scores, plain.scores)
    np.testing.assert_array_equal(fewer.mask, plain.mask)
    assert sure_ones(plain).all()
