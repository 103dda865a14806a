from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg_runtime.contract import Contract, Label, Resize, Selection
from edgeseg_runtime.errors import ContractError, ScoresError
from edgeseg_runtime.instances.decode import InstanceDecoder
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.preprocess import content_size
from edgeseg_runtime.result import StageTimes
from tests.instance_model import instance_contract

Outputs = tuple[npt.NDArray[Any], ...]
FRAMES = [(48, 64), (90, 120), (37, 110), (100, 31)]


def prototypes(seed: int, contract: Contract, candidates: int = 60) -> Outputs:
    """Outputs of a model that found heaps of overlapping things, some of them beyond the edges."""
    rng = np.random.default_rng(seed)
    corners = rng.integers(-1, 5, (candidates, 2)) * 12 + rng.uniform(-2, 2, (candidates, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(3, 25, (candidates, 2))], 1).astype(np.float32)
    scores = rng.random((candidates, len(contract.labels))).astype(np.float32) ** 3
    coefficients = rng.normal(size=(candidates, 5)).astype(np.float32)
    return boxes, scores, coefficients, rng.normal(size=(5, 12, 16)).astype(np.float32)


def detections(seed: int, contract: Contract, count: int = 20) -> Outputs:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-15, 60, (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 40, (count, 2))], 1).astype(np.float32)
    scores = -np.sort(-rng.random(count).astype(np.float32))
    labels = rng.integers(0, len(contract.labels), count)
    return boxes, labels, scores, rng.random((count, 7, 7)).astype(np.float32)


def pasted(result: InstanceResult) -> list[npt.NDArray[np.bool_]]:
    masks = []
    for region in result.regions:
        mask = np.zeros((result.height, result.width), np.bool_)
        rows, columns = region.inside.shape
        mask[region.top : region.top + rows, region.left : region.left + columns] = region.inside
        masks.append(mask)
    return masks


def sampled(values: Any, x: Any, y: Any) -> Any:
    """Values of a grid over 0..1 × 0..1 at each pair of places, by torch, in double precision."""
    import torch

    grid = torch.stack(torch.meshgrid(x * 2 - 1, y * 2 - 1, indexing="xy"), -1)[None].double()
    picture = torch.as_tensor(np.asarray(values)).double()[None, None]
    return torch.nn.functional.grid_sample(picture, grid, padding_mode="border", align_corners=False)[0, 0].numpy()


def frame_boxes(boxes: Any, contract: Contract, height: int, width: int) -> tuple[Any, Any]:
    """Boxes of the input as they lie in the frame, as they are and clipped."""
    rows, columns = content_size(height, width, contract)
    scale = np.array([width / columns, height / rows] * 2)
    uncut = boxes.astype(np.float64) * scale
    return uncut, uncut.clip(0, [width, height] * 2)


def inside(box: Any, height: int, width: int) -> npt.NDArray[np.bool_]:
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    across, down = (x >= box[0]) & (x <= box[2]), (y >= box[1]) & (y <= box[3])
    return np.asarray(down[:, None] & across)


def same_masks(result: InstanceResult, wanted: list[tuple[Any, float]]) -> None:
    """Compare pixels whose value is not on the threshold itself; `wanted`: values of the frame, and the threshold."""
    for mask, (values, threshold) in zip(pasted(result), wanted, strict=True):
        clear = np.abs(values - threshold) > 1e-4
        assert clear.mean() > 0.95
        np.testing.assert_array_equal(mask[clear], (values > threshold)[clear])


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
@pytest.mark.parametrize("size", FRAMES)
@pytest.mark.parametrize("seed", [0, 1])
def test_prototypes_as_torch_decodes_them(seed: int, size: tuple[int, int], resize: Resize) -> None:
    torch = pytest.importorskip("torch")
    ops = pytest.importorskip("torchvision.ops")
    height, width = size
    selection = Selection((0.2, 0.35, 0.3), overlap=0.4, limit=12)
    contract = instance_contract(resize=resize, selection=selection)
    boxes, scores, coefficients, planes = outputs = prototypes(seed, contract)
    result = InstanceDecoder(contract)(outputs, height, width)

    _, clipped = frame_boxes(boxes, contract, height, width)
    reached = np.where(scores >= np.array(selection.thresholds, np.float32), scores, 0)
    ids = [k for k in range(len(boxes)) if reached[k].any() and (clipped[k][2:] > clipped[k][:2]).all()]
    labels, sure = reached[ids].argmax(1), reached[ids].max(1).astype(np.float64)
    kept = ops.batched_nms(*(torch.from_numpy(np.ascontiguousarray(v)) for v in (clipped[ids], sure, labels)), 0.4)
    chosen = [ids[place] for place in kept.tolist()[:12]]
    rows, columns = content_size(height, width, contract)
    x = (torch.arange(width) + 0.5) / width * columns / contract.width
    y = (torch.arange(height) + 0.5) / height * rows / contract.height
    wanted = []
    for k in chosen:
        values = sampled(np.einsum("p,phw->hw", coefficients[k].astype(np.float64), planes), x, y)
        wanted.append((np.where(inside(clipped[k], height, width), values, -1.0), 0.0))
    by_score = {float(score): place for place, score in enumerate(reached[chosen].max(1))}
    got = [by_score[float(score)] for score in result.scores]
    lit = [place for place, (values, _) in enumerate(wanted) if (values > 0).any()]
    assert got == sorted(got) and len(lit) >= 4
    assert set(lit) <= set(got)  # what is dropped is dropped for its cells, so one without a pixel may be left
    np.testing.assert_allclose(result.boxes, clipped[[chosen[place] for place in got]], atol=1e-4)
    np.testing.assert_array_equal(result.labels, reached[chosen].argmax(1)[got])
    same_masks(result, [wanted[place] for place in got])
    assert result.scores.dtype == result.boxes.dtype == np.float32 and result.labels.dtype == np.uint8


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
@pytest.mark.parametrize("size", FRAMES)
@pytest.mark.parametrize("seed", [0, 1])
def test_detections_as_torch_pastes_them(seed: int, size: tuple[int, int], resize: Resize) -> None:
    torch = pytest.importorskip("torch")
    height, width = size
    selection = Selection((0.2, 0.5, 0.3), limit=8)
    contract = instance_contract("detections", resize=resize, selection=selection)
    boxes, labels, scores, masks = outputs = detections(seed, contract)
    result = InstanceDecoder(contract)(outputs, height, width)
    uncut, clipped = frame_boxes(boxes, contract, height, width)
    chosen = [
        k
        for k in range(len(boxes))
        if scores[k] >= np.float32(selection.thresholds[labels[k]]) and (clipped[k][2:] > clipped[k][:2]).all()
    ][:8]
    np.testing.assert_allclose(result.boxes, clipped[chosen], atol=1e-4)
    np.testing.assert_array_equal(result.scores, scores[chosen])
    np.testing.assert_array_equal(result.labels, labels[chosen])
    wanted = []
    for k in chosen:
        x0, y0, x1, y1 = uncut[k]
        values = sampled(
            masks[k], (torch.arange(width) + 0.5 - x0) / (x1 - x0), (torch.arange(height) + 0.5 - y0) / (y1 - y0)
        )
        wanted.append((np.where(inside(clipped[k], height, width), values, 0.0), 0.5))
    same_masks(result, wanted)


def one_candidate(contract: Contract, box: list[float], scores: list[float], coefficient: float = 1.0) -> Outputs:
    return (
        np.array([box], np.float32),
        np.array([scores], np.float32),
        np.array([[coefficient]], np.float32),
        np.ones((1, contract.height // 8, contract.width // 8), np.float32),
    )


def test_by_hand() -> None:
    contract = instance_contract()  # 48×64
    result = InstanceDecoder(contract)(one_candidate(contract, [8, 12, 16, 24], [0.1, 0.7, 0.3]), 96, 64)
    assert result.boxes.tolist() == [[8, 24, 16, 48]]
    assert (result.labels.tolist(), result.scores.tolist()) == ([1], [pytest.approx(0.7)])
    region = result.regions[0]
    assert (region.top, region.left, region.inside.shape, region.area) == (24, 8, (24, 8), 192)
    assert (result.height, result.width, result.ids, len(result)) == (96, 64, (), 1)
    assert result.contract is contract


def test_a_letterboxs_padding_is_left_out() -> None:
    contract = instance_contract(resize="letterbox")  # a 64×64 frame fills 48×48 of it
    result = InstanceDecoder(contract)(one_candidate(contract, [24, 0, 64, 24], [0.9, 0, 0]), 64, 64)
    assert result.boxes.tolist() == [[32, 0, 64, 32]]
    only_padding = InstanceDecoder(contract)(one_candidate(contract, [48, 0, 64, 24], [0.9, 0, 0]), 64, 64)
    assert len(only_padding) == 0 and only_padding.boxes.shape == (0, 4)


def test_each_class_has_its_own_threshold_and_the_surest_that_reaches_it_wins() -> None:
    contract = instance_contract(selection=Selection((0.9, 0.3, 0.2)))
    outputs = one_candidate(contract, [0, 0, 9, 9], [0.8, 0.3, 0.25])
    assert InstanceDecoder(contract)(outputs, 48, 64).labels.tolist() == [1]  # reached, not only passed
    assert InstanceDecoder(contract, (0.5, 0.3, 0.2))(outputs, 48, 64).labels.tolist() == [0]
    assert len(InstanceDecoder(contract, (1, 1, 1))(outputs, 48, 64)) == 0
    assert len(InstanceDecoder(contract, (0, 0, 0))(outputs, 48, 64)) == 1


def test_thresholds_that_do_not_fit_are_refused() -> None:
    contract = instance_contract()
    with pytest.raises(ContractError, match="3 classes need as many score thresholds, got 2"):
        InstanceDecoder(contract, (0.5, 0.5))
    with pytest.raises(ContractError, match=r"in 0\.\.1"):
        InstanceDecoder(contract, (0.5, 0.5, 1.5))
    semantic = Contract((Label("road", (0, 0, 0)),), 8, 8)
    with pytest.raises(ContractError, match="task instance, this one's is semantic"):
        InstanceDecoder(semantic)


@pytest.mark.parametrize("box", [[70, 0, 90, 9], [-9, 0, -1, 9], [0, 48, 9, 60], [5, 5, 5, 9], [9, 9, 5, 12]])
def test_what_has_no_box_in_the_frame_is_dropped_before_the_limit_counts(box: list[float]) -> None:
    contract = instance_contract(selection=Selection((0.1,) * 3, limit=1))
    gone, there = one_candidate(contract, box, [0.9, 0, 0]), one_candidate(contract, [0, 0, 9, 9], [0, 0.8, 0])
    outputs = *(np.concatenate(pair) for pair in zip(gone[:3], there[:3], strict=True)), gone[3]
    assert InstanceDecoder(contract)(outputs, 48, 64).labels.tolist() == [1]
    found = instance_contract("detections", selection=contract.selection)
    raw = outputs[0], np.array([0, 1]), np.array([0.9, 0.8], np.float32), np.ones((2, 3, 3), np.float32)
    assert InstanceDecoder(found)(raw, 48, 64).labels.tolist() == [1]


def test_what_has_no_mask_is_dropped() -> None:
    contract = instance_contract()
    assert len(InstanceDecoder(contract)(one_candidate(contract, [0, 0, 9, 9], [0.9, 0, 0], -1.0), 48, 64)) == 0
    found = instance_contract("detections")
    boxes, labels, scores, masks = detections(0, found, 4)
    masks[2] = 0.5  # at the threshold, not above
    scores[:] = 0.9, 0.8, 0.7, 0.6
    boxes[:] = [0, 0, 20, 20]
    decoded = InstanceDecoder(found)((boxes, labels, scores, masks), 48, 64)
    np.testing.assert_allclose(decoded.scores, [0.9, 0.8, 0.6])


def test_a_mask_needs_the_cells_around_its_box_and_no_others() -> None:
    """A box within one cell is interpolated with its neighbours, and what is lit far away does not count."""
    contract = instance_contract()
    boxes, scores, coefficients, _ = one_candidate(contract, [20, 20, 24, 24], [0.9, 0, 0])
    planes = np.full((1, 6, 8), -1, np.float32)  # cells of 8×8 pixels; the box is in cell (2, 2), right of its centre
    planes[0, 2, 3] = 9
    (region,) = InstanceDecoder(contract)((boxes, scores, coefficients, planes), 48, 64).regions
    assert region.inside.any() and not region.inside[:, 0].any()
    planes[0, 2, 3], planes[0, 0, 7] = -1, 9
    assert len(InstanceDecoder(contract)((boxes, scores, coefficients, planes), 48, 64)) == 0


@pytest.mark.parametrize("output", ["prototypes", "detections"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused(output: str, bad: float) -> None:
    contract = instance_contract(output)
    make = prototypes if output == "prototypes" else detections
    for place in range(4):
        outputs = make(0, contract)
        if outputs[place].dtype.kind == "f":
            outputs[place].flat[-1] = bad
            with pytest.raises(ScoresError, match="NaN or infinite"):
                InstanceDecoder(contract)(outputs, 48, 64)


def test_large_numbers_are_numbers() -> None:
    contract = instance_contract()
    boxes, scores, coefficients, planes = one_candidate(contract, [0, 0, 9, 9], [0.9, 0, 0])
    planes[:] = 3e38  # their sum is infinite, they are not
    assert len(InstanceDecoder(contract)((boxes, scores, coefficients, planes), 48, 64)) == 1


def test_a_class_that_is_none_is_refused_and_background_dropped() -> None:
    contract = instance_contract("detections", selection=Selection((0.0, 0.0, 0.0)))
    boxes, labels, scores, masks = detections(0, contract, 3)
    boxes[:], masks[:] = [0, 0, 9, 9], 1
    labels[:] = 0, -1, 2
    decoded = InstanceDecoder(contract)((boxes, labels, scores, masks), 48, 64)
    assert decoded.labels.tolist() == [0, 2]
    for wrong in (3, -2, 1 << 40):
        labels[1] = wrong
        with pytest.raises(ScoresError, match=f"an object of class {wrong}, its contract has 3"):
            InstanceDecoder(contract)((boxes, labels, scores, masks), 48, 64)


def test_detections_come_out_the_surest_first_even_where_the_model_mixes_them_up() -> None:
    contract = instance_contract("detections")
    boxes, labels, scores, masks = detections(0, contract)
    boxes[:], order = [0, 0, 20, 20], np.random.default_rng(0).permutation(len(scores))
    one = InstanceDecoder(contract)((boxes, labels, scores, masks), 48, 64)
    other = InstanceDecoder(contract)((boxes, labels[order], scores[order], masks[order]), 48, 64)
    np.testing.assert_array_equal(one.scores, other.scores)
    np.testing.assert_array_equal(one.labels, other.labels)


@pytest.mark.parametrize("output", ["prototypes", "detections"])
def test_nothing_of_the_engines_memory_is_kept(output: str) -> None:
    contract = instance_contract(output)
    outputs = (prototypes if output == "prototypes" else detections)(1, contract)
    alone = InstanceDecoder(contract)(tuple(values.copy() for values in outputs), 48, 64)
    result = InstanceDecoder(contract)(outputs, 48, 64)
    for values in outputs:
        values[:] = 0
    for one, other in zip(pasted(result), pasted(alone), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(result.boxes, alone.boxes)


def test_times_are_passed_on() -> None:
    times = StageTimes(1, 2, 3)
    contract = instance_contract()
    result = InstanceDecoder(contract)(prototypes(0, contract), 48, 64, times)
    assert result.times is times
    assert result.timed(StageTimes(4, 5, 6)).times == StageTimes(4, 5, 6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.integers(1, 200), st.integers(1, 200), st.sampled_from(["prototypes", "detections"]))
def test_what_always_holds(seed: int, height: int, width: int, output: str) -> None:
    selection = Selection((0.1, 0.2, 0.3), 0.5, 10)
    contract = instance_contract(output, resize="letterbox", selection=selection)
    result = InstanceDecoder(contract)(
        (prototypes if output == "prototypes" else detections)(seed, contract), height, width
    )
    assert len(result) <= 10
    assert (np.diff(result.scores) <= 0).all()
    assert (result.scores >= np.array(selection.thresholds, np.float32)[result.labels]).all()
    assert (result.boxes >= 0).all() and (result.boxes[:, [0, 2]] <= width).all()
    assert (result.boxes[:, [1, 3]] <= height).all() and (result.boxes[:, 2:] > result.boxes[:, :2]).all()
    for mask, box in zip(pasted(result), result.boxes, strict=True):
        assert not (mask & ~inside(box, height, width)).any()
    assert replace(result, ids=tuple(range(len(result)))).ids == tuple(range(len(result)))
