from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edgeseg_export.instances.parity.average_precision import InstanceAccuracy, match_truth
from edgeseg_runtime.instances.region import Region
from tests.export.instances.results import Drawn, result
from tests.export.instances.scenes import Thing

HEIGHT, WIDTH = 40, 60


@dataclass(frozen=True)
class Case:
    truth: list[Thing]
    found: list[Drawn]


def thing(box: tuple[int, int, int, int], label: int, crowd: bool = False) -> Thing:
    return Thing(label, Region(box[1], box[0], np.ones((box[3] - box[1], box[2] - box[0]), np.bool_)), crowd)


def accuracy(cases: Sequence[Case]) -> InstanceAccuracy:
    return InstanceAccuracy(tuple(match_truth(case.truth, result(case.found), 2) for case in cases))


def coco(cases: Sequence[Case]) -> Any:
    """Return the whole evaluation as pycocotools makes it of all pictures at once."""

    def encoded(left: int, top: int, right: int, bottom: int) -> Any:
        mask = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
        mask[top:bottom, left:right] = 1
        return rle.encode(mask)

    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image, case in enumerate(cases, 1):
        for each in case.truth:
            rows, columns = each.region.inside.shape
            left, top = each.region.left, each.region.top
            annotations.append({
                "id": len(annotations) + 1, "image_id": image, "category_id": each.label, "iscrowd": int(each.crowd),
                "area": rows * columns, "segmentation": encoded(left, top, left + columns, top + rows),
            })  # fmt: skip
        results += [
            {"image_id": image, "category_id": label, "score": float(np.float32(score)), "segmentation": encoded(*box)}
            for *box, label, score in case.found
        ]
    with redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": image, "height": HEIGHT, "width": WIDTH} for image in range(1, len(cases) + 1)],
            "annotations": annotations,
            "categories": [{"id": 0}, {"id": 1}],
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def coco_ap(cases: Sequence[Case]) -> list[float]:
    precision = coco(cases).eval["precision"][:, :, :, 0, 2]  # (IoUs, recalls, classes), all sizes, 100 detections
    return [float("nan") if (precision[..., k] == -1).all() else float(precision[..., k].mean()) for k in range(2)]


def random_cases(seed: int, pictures: int) -> list[Case]:
    """Rectangles, some of them found a little off, some missed, some invented, scores all different."""
    generator = np.random.default_rng(seed)
    cases = []
    for _ in range(pictures):
        truth, found = [], []
        for _ in range(int(generator.integers(0, 5))):
            left, top = (int(generator.integers(0, limit)) for limit in (40, 24))
            right, bottom = left + int(generator.integers(5, 18)), top + int(generator.integers(5, 15))
            label = int(generator.integers(2))
            truth.append(thing((left, top, right, bottom), label, crowd=generator.random() < 0.15))
            if generator.random() < 0.8:
                moved = left + int(generator.integers(0, 3)), top + int(generator.integers(0, 2))
                found.append((*moved, right, bottom, label, float(generator.random())))
        invented = int(generator.integers(0, 3))
        found += [(1, 1, 9, 12, int(generator.integers(2)), float(generator.random())) for _ in range(invented)]
        cases.append(Case(truth, found))
    return cases


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_it_is_cocos(seed: int) -> None:
    cases = [*random_cases(seed, 6), Case([], [(1, 1, 9, 12, 0, 0.5)])]  # loadRes wants at least one result
    np.testing.assert_allclose(accuracy(cases).class_ap(), coco_ap(cases), atol=1e-12)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_a_picture_of_weight_two_is_the_picture_twice(seed: int) -> None:
    cases = [*random_cases(seed, 5), Case([thing((1, 1, 9, 12), 0)], [(1, 1, 9, 12, 0, 0.5)])]
    weights = np.array([0, 1, 2, 1, 3, 1])
    again = [case for case, weight in zip(cases, weights, strict=True) for _ in range(weight)]
    weighed = accuracy(cases).class_ap(weights[None].astype(np.float64))
    assert weighed.shape == (1, 2)
    np.testing.assert_allclose(weighed[0], coco_ap(again), atol=1e-12)


def test_by_hand() -> None:
    """One of two objects found exactly, before it one that is nothing: precision 1/2 up to recall 1/2."""
    cases = [
        Case([thing((0, 0, 10, 10), 0), thing((30, 0, 40, 10), 0)], [(0, 0, 10, 10, 0, 0.6), (50, 30, 60, 40, 0, 0.9)])
    ]
    ap = accuracy(cases).class_ap()
    assert ap[0] == pytest.approx(0.5 * 51 / 101)
    assert np.isnan(ap[1])
    assert accuracy(cases).mean_ap() == pytest.approx(ap[0])
    assert accuracy(cases).positives.tolist() == [[2, 0]]


def test_nothing_found_is_zero_and_nothing_true_is_unknown() -> None:
    assert accuracy([Case([thing((0, 0, 9, 9), 1)], [])]).class_ap().tolist()[1] == 0
    assert np.isnan(accuracy([Case([], [(0, 0, 9, 9, 1, 0.9)])]).mean_ap())
    assert np.isnan(accuracy([Case([], [])]).mean_ap())


def test_detections_in_a_crowd_are_not_wrong() -> None:
    truth = [thing((0, 0, 10, 10), 0), thing((20, 0, 60, 40), 0, crowd=True)]
    found = [(0, 0, 10, 10, 0, 0.5), (22, 2, 30, 12, 0, 0.9), (40, 20, 50, 30, 0, 0.8)]
    assert accuracy([Case(truth, found)]).class_ap()[0] == pytest.approx(1)
