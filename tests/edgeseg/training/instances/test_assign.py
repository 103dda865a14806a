from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import box_iou

from edgeseg.models.instances.cells import Cells, make_cells
from edgeseg.training.instances.assign import ALPHA, BETA, CANDIDATES, LEAST_QUALITY, Objects, assign

SIZE = (64, 96)
CELLS = make_cells(SIZE)
CENTRES, STRIDES = CELLS
CLASSES = 3


def objects_of(*rows: tuple[float, float, float, float, int], crowd: tuple[bool, ...] | None = None) -> Objects:
    boxes = torch.tensor([row[:4] for row in rows], dtype=torch.float32).reshape(-1, 4)
    labels = torch.tensor([row[4] for row in rows], dtype=torch.int64)
    return Objects(boxes, labels, torch.tensor(crowd or (False,) * len(rows), dtype=torch.bool))


def around(centres: Tensor, reach: Tensor | float) -> Tensor:
    reach = reach if isinstance(reach, Tensor) else torch.full((len(centres), 1), reach)
    return torch.cat([centres - reach, centres + reach], dim=1)


def guesses(seed: int) -> tuple[Tensor, Tensor]:
    """Return scores and boxes as an untrained network might give them."""
    draw = torch.Generator().manual_seed(seed)
    scores = torch.rand(len(CENTRES), CLASSES, generator=draw)
    return scores, around(CENTRES, (1 + 4 * torch.rand(len(CENTRES), 1, generator=draw)) * STRIDES[:, None])


def by_the_paper(scores: Tensor, boxes: Tensor, objects: Objects) -> dict[int, tuple[int, float]]:
    """Return candidate → (object, target), for objects that hold centres and keep a candidate, one at a time."""
    overlap = box_iou(objects.boxes, boxes)
    wanted: dict[int, list[int]] = {}
    for index, (box, label) in enumerate(zip(objects.boxes.tolist(), objects.labels.tolist(), strict=True)):
        inside = [
            cell
            for cell, (x, y) in enumerate(CENTRES.tolist())
            if box[0] < x < box[2] and box[1] < y < box[3] and overlap[index, cell] > 0
        ]
        inside.sort(key=lambda cell: -float(scores[cell, label] ** ALPHA * overlap[index, cell] ** BETA))
        for cell in inside[:CANDIDATES]:
            wanted.setdefault(cell, []).append(index)
    owners = {cell: max(some, key=lambda index: float(overlap[index, cell])) for cell, some in wanted.items()}
    found = {}
    for cell, index in owners.items():
        mine = [other for other, owner in owners.items() if owner == index]
        label = int(objects.labels[index])
        aligned = {other: float(scores[other, label] ** ALPHA * overlap[index, other] ** BETA) for other in mine}
        best = max(float(overlap[index, other]) for other in mine)
        found[cell] = index, aligned[cell] / max(aligned.values()) * max(best, LEAST_QUALITY)
    return found


@given(st.integers(0, 1000), st.integers(1, 3))
def test_it_is_the_papers_assignment(seed: int, count: int) -> None:
    scores, boxes = guesses(seed)
    draw = torch.Generator().manual_seed(seed + 1)
    low = torch.rand(count, 2, generator=draw) * torch.tensor([40.0, 20.0])
    extent = 20 + 30 * torch.rand(count, 2, generator=draw)
    labels = torch.randint(CLASSES, (count,), generator=draw)
    objects = Objects(torch.cat([low, low + extent], dim=1), labels, torch.zeros(count, dtype=torch.bool))
    expected = by_the_paper(scores, boxes, objects)
    if {index for index, _ in expected.values()} != set(range(count)):
        return  # an object lost all its candidates to others, which the paper does not speak of
    found = assign(scores, boxes, CELLS, objects)
    owned = (found.owner >= 0).nonzero().flatten().tolist()
    assert {cell: int(found.owner[cell]) for cell in owned} == {cell: index for cell, (index, _) in expected.items()}
    for cell, (_, quality) in expected.items():
        assert float(found.quality[cell]) == pytest.approx(quality, rel=1e-4, abs=1e-7)


@given(st.integers(0, 1000), st.integers(0, 40), st.booleans())
def test_every_object_gets_a_candidate(seed: int, count: int, small: bool) -> None:
    scores, boxes = guesses(seed)
    draw = torch.Generator().manual_seed(seed + 1)
    low = torch.rand(count, 2, generator=draw) * torch.tensor([90.0, 60.0])
    extent = (0.5 if small else 5.0) + 3 * torch.rand(count, 2, generator=draw)
    labels = torch.randint(CLASSES, (count,), generator=draw)
    found = assign(
        scores,
        boxes,
        CELLS,
        Objects(torch.cat([low, low + extent], dim=1), labels, torch.zeros(count, dtype=torch.bool)),
    )
    assert set(found.owner.tolist()) - {-1} == set(range(count))
    owned = found.owner >= 0
    assert (found.quality[~owned] == 0).all()
    assert ((found.quality >= 0) & (found.quality <= 1)).all()
    best = torch.zeros(count).scatter_reduce(0, found.owner[owned], found.quality[owned], "amax")
    assert (best >= LEAST_QUALITY - 1e-6).all()


def test_a_tiny_object_between_the_cells_is_learnt_by_the_nearest() -> None:
    scores, boxes = torch.full((len(CENTRES), CLASSES), 0.01), around(CENTRES, 2 * STRIDES[:, None])
    found = assign(scores, boxes, CELLS, objects_of((40.2, 24.2, 41.2, 25.2, 1)))
    (cell,) = (found.owner == 0).nonzero().flatten().tolist()
    assert CENTRES[cell].tolist() == [44, 28] and STRIDES[cell] == 8


def test_where_no_box_meets_the_object_the_middle_cells_learn_it() -> None:
    scores, boxes = torch.full((len(CENTRES), CLASSES), 0.01), around(CENTRES + 1000, 1.0)
    found = assign(scores, boxes, CELLS, objects_of((8, 8, 56, 56, 0)))
    owned = found.owner >= 0
    assert owned.sum() == CANDIDATES
    away = (CENTRES - 32).norm(dim=1)
    assert away[owned].max() <= away[~owned].min() + 1e-3
    assert found.quality.max() == pytest.approx(LEAST_QUALITY)


def test_two_objects_with_one_box_share_its_cells() -> None:
    scores, boxes = guesses(0)
    found = assign(scores, boxes, CELLS, objects_of((10, 10, 50, 50, 0), (10, 10, 50, 50, 1)))
    assert set(found.owner.tolist()) == {-1, 0, 1}


def test_with_fewer_candidates_than_objects_each_candidate_learns_one() -> None:
    scores, boxes = torch.full((2, 1), 0.5), around(CENTRES[:2], 8.0)
    found = assign(scores, boxes, Cells(CENTRES[:2], STRIDES[:2]), objects_of(*[(0, 0, 20, 20, 0)] * 5))
    assert len(set(found.owner.tolist())) == 2 and -1 not in found.owner.tolist()


def test_a_picture_without_objects_assigns_nothing() -> None:
    found = assign(*guesses(0), CELLS, objects_of())
    assert (found.owner == -1).all() and (found.quality == 0).all() and not found.ignored.any()


def test_a_crowd_is_learnt_by_nobody_and_excuses_its_class_alone() -> None:
    scores, boxes = guesses(0)
    boxes = around(CENTRES, 4.0)
    single, crowd = (4.0, 4.0, 28.0, 28.0, 1), (0.0, 0.0, 48.0, 64.0, 1)
    found = assign(scores, boxes, CELLS, objects_of(crowd, single, crowd=(True, False)))
    assert set(found.owner.tolist()) == {-1, 1}
    owned = found.owner >= 0
    within = CENTRES[:, 0] < 48  # more than half of boxes of 8 pixels around these is in the crowd
    assert torch.equal(found.ignored[:, 1], within & ~owned)
    assert not found.ignored[:, [0, 2]].any()
