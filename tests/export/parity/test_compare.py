from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from sklearn.metrics import jaccard_score

from edgeseg_export.parity.compare import Reference, compare
from edgeseg_export.parity.comparison import Comparison, Settings
from edgeseg_export.parity.pictures import Picture
from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.errors import ConfigError, DatasetError, GateFailed
from edgeseg_runtime.preprocess import Image, Mask

LABELS = tuple(Label(name, (index * 50, 0, 0)) for index, name in enumerate(("sky", "road", "pole", "ghost")))
CONTRACT = Contract(LABELS, 40, 56)
SMALL = Settings(min_class_pixels=1, min_class_pictures=1, resamples=200)


def carry(masks: list[Mask]) -> list[Image]:
    """Frames that carry a mask in their blue channel, so that a path can be any function of masks."""
    return [np.dstack([mask, np.full_like(mask, index), np.zeros_like(mask)]) for index, mask in enumerate(masks)]


def measure(
    originals: list[Mask], artifacts: list[Mask], truths: list[Mask | None] | None = None, settings: Settings = SMALL
) -> Comparison:
    frames, truth = carry(originals), truths or [None] * len(originals)
    pictures = [Picture(f"p{index}", frame, truth[index]) for index, frame in enumerate(frames)]
    reference = Reference.of(lambda frame: frame[:, :, 0].copy(), pictures, CONTRACT, settings)
    return compare(reference, lambda frame: artifacts[frame[0, 0, 1]])


def scene(seed: int, classes: int = 3) -> Mask:
    """Blobs: a smooth random field for each class, the largest wins."""
    field = np.random.default_rng(seed).normal(size=(classes, 40, 56))
    smooth = np.stack([ndimage.gaussian_filter(plane, 4) for plane in field])
    mask: Mask = smooth.argmax(axis=0).astype(np.uint8)
    return mask


def worn(mask: Mask, seed: int, share: float = 0.05) -> Mask:
    generator = np.random.default_rng(seed)
    wrong = generator.random(mask.shape) < share
    return np.where(wrong, generator.integers(0, 3, mask.shape), mask).astype(np.uint8)


TRUTHS = [scene(seed) for seed in range(6)]
ORIGINALS = [worn(mask, 10 + seed, 0.1) for seed, mask in enumerate(TRUTHS)]
ARTIFACTS = [worn(mask, 20 + seed, 0.05) for seed, mask in enumerate(ORIGINALS)]


def with_void(mask: Mask) -> Mask:
    holed = mask.copy()
    holed[:8, :8] = 255
    return holed


def test_agreement_is_the_share_of_equal_pixels() -> None:
    found = measure(ORIGINALS, ARTIFACTS)
    shares = [float(np.mean(one == other)) for one, other in zip(ORIGINALS, ARTIFACTS, strict=True)]
    np.testing.assert_allclose(found.agreement, shares)
    assert found.mean_agreement == pytest.approx(np.mean(shares))
    assert found.worst_picture == int(np.argmin(shares))


def test_edge_agreement_is_taken_within_the_band() -> None:
    found = measure(ORIGINALS, ARTIFACTS)
    equal = total = 0
    for original, artifact in zip(ORIGINALS, ARTIFACTS, strict=True):
        edges = np.zeros(original.shape, bool)
        for axis in (0, 1):
            for step in (1, -1):
                moved = np.roll(original, step, axis)
                border = [slice(None), slice(None)]
                border[axis] = slice(0, 1) if step == 1 else slice(-1, None)
                differs = moved != original
                differs[tuple(border)] = False
                edges |= differs
        near = ndimage.distance_transform_edt(~edges) <= 3
        equal, total = equal + int(((original == artifact) & near).sum()), total + int(near.sum())
    assert found.edge_agreement == pytest.approx(equal / total)


def test_iou_is_scikit_learns() -> None:
    found = measure(ORIGINALS, ARTIFACTS, [with_void(mask) for mask in TRUTHS])
    assert found.accuracy is not None
    truth, original, artifact = (
        np.concatenate([mask.ravel() for mask in masks])
        for masks in ([with_void(mask) for mask in TRUTHS], ORIGINALS, ARTIFACTS)
    )
    kept = truth != 255
    for measured, path in ((found.accuracy.original, original), (found.accuracy.artifact, artifact)):
        expected = jaccard_score(truth[kept], path[kept], labels=[0, 1, 2], average=None)
        np.testing.assert_allclose(measured.iou()[:3], expected)
        assert np.isnan(measured.iou()[3])
    expected = jaccard_score(original, artifact, labels=[0, 1, 2], average=None)
    np.testing.assert_allclose(found.between_masks.iou[:3], expected)
    lost = jaccard_score(truth[kept], original[kept], labels=[0, 1, 2], average="macro") - jaccard_score(
        truth[kept], artifact[kept], labels=[0, 1, 2], average="macro"
    )
    assert found.accuracy.miou_drop == pytest.approx(100 * lost)


def test_the_interval_is_that_of_a_plain_loop_over_the_same_resamples() -> None:
    from edgeseg_export.parity.bootstrap import resample_weights

    found = measure(ORIGINALS, ARTIFACTS, list(TRUTHS))
    assert found.accuracy is not None
    drops, scores = [], []
    for weights in resample_weights(len(TRUTHS), SMALL.resamples, SMALL.seed):
        drawn = np.repeat(np.arange(len(TRUTHS)), weights.astype(int))
        truth, original, artifact = (
            np.concatenate([masks[index].ravel() for index in drawn]) for masks in (TRUTHS, ORIGINALS, ARTIFACTS)
        )
        both = [jaccard_score(truth, path, labels=[0, 1, 2], average="macro") for path in (original, artifact)]
        scores.append(both)
        drops.append(100 * (both[0] - both[1]))
    assert found.accuracy.miou_drop_interval() == pytest.approx(tuple(np.percentile(drops, [2.5, 97.5])))
    bounds = np.percentile(scores, [2.5, 97.5], axis=0).T
    np.testing.assert_allclose(np.array(found.accuracy.miou_intervals(), np.float64), bounds)
    told = found.as_dict()["against_truth"]["mean_iou"]
    assert told["original_interval_95"] == pytest.approx(bounds[0])
    assert told["artifact_interval_95"] == pytest.approx(bounds[1])


def test_masks_that_are_equal_are_perfect_in_every_number() -> None:
    found = measure(ORIGINALS, ORIGINALS, list(TRUTHS))
    assert found.accuracy is not None
    assert (found.mean_agreement, found.edge_agreement, found.between_masks.mean_iou) == (1, 1, 1)
    assert (found.accuracy.miou_drop, found.accuracy.boundary_drop) == (0, 0)
    assert found.accuracy.miou_drop_interval() == (0, 0)


def test_masks_equal_to_the_truth_have_a_perfect_boundary() -> None:
    found = measure(TRUTHS, ARTIFACTS, list(TRUTHS))
    assert found.accuracy is not None
    assert found.accuracy.boundary_f[0] == 1
    assert 0 < found.accuracy.boundary_f[1] < 1
    assert found.accuracy.boundary_drop == pytest.approx(100 * (1 - found.accuracy.boundary_f[1]))


some_masks = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: st.tuples(*[hnp.arrays(np.uint8, shape, elements=st.integers(0, 3))] * 2)
)


@given(some_masks)
def test_agreement_and_iou_do_not_depend_on_which_mask_came_first(pair: tuple[Mask, Mask]) -> None:
    one, other = measure([pair[0]], [pair[1]]), measure([pair[1]], [pair[0]])
    assert one.mean_agreement == other.mean_agreement
    np.testing.assert_array_equal(one.between_masks.iou, other.between_masks.iou)


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 3)))
def test_two_swapped_labels_cost_exactly_the_pixels_they_have(mask: Mask) -> None:
    swapped = np.array([1, 0, 2, 3], np.uint8)[mask]
    assert measure([mask], [swapped]).mean_agreement == pytest.approx(1 - np.mean(mask <= 1))


def test_a_class_with_few_pixels_or_pictures_is_not_judged() -> None:
    truths: list[Mask] = [np.zeros((20, 20), np.uint8) for _ in range(4)]
    truths[0][:10] = 1  # many pixels, but on one picture only
    for truth in truths:
        truth[19, :2] = 2  # on every picture, but few pixels
    found = measure(truths, truths, list(truths), Settings(min_class_pixels=50, min_class_pictures=2, resamples=100))
    assert found.accuracy is not None
    assert found.accuracy.judged.tolist() == [True, False, False, False]


def test_unjudged_classes_do_not_reach_the_verdict_through_the_mean() -> None:
    truths: list[Mask] = [np.zeros((20, 20), np.uint8) for _ in range(4)]
    for truth in truths:
        truth[19, :2] = 2
    forgets: list[Mask] = [np.zeros_like(truth) for truth in truths]
    found = measure(truths, forgets, list(truths), Settings(min_class_pixels=50, min_class_pictures=2, resamples=100))
    assert found.accuracy is not None
    assert found.accuracy.class_drops[2] == 100
    assert found.accuracy.miou_drop == pytest.approx(0.5)  # 2 of 400 pixels called class 0 by mistake


def test_pictures_without_truth_count_for_agreement_only() -> None:
    truths: list[Mask | None] = [TRUTHS[0], None, TRUTHS[2], None, None, None]
    found = measure(ORIGINALS, ARTIFACTS, truths)
    assert found.accuracy is not None
    assert len(found.agreement) == 6
    assert len(found.accuracy.original.hits) == 2
    assert measure(ORIGINALS, ARTIFACTS).accuracy is None


def test_the_worst_masks_are_kept_worst_first() -> None:
    found = measure(ORIGINALS, ARTIFACTS, settings=Settings(examples=2, resamples=100))
    order = np.argsort(found.agreement)[:2].tolist()
    assert list(found.worst) == order
    for index in order:
        np.testing.assert_array_equal(found.worst[index], ARTIFACTS[index])


def test_pictures_may_differ_in_size() -> None:
    small, large = scene(1)[:20, :20], scene(2)
    assert measure([small, large], [small, large], [small, large]).mean_agreement == 1


@pytest.mark.parametrize("truths", [None, list(TRUTHS)])
def test_json_holds_plain_numbers(truths: list[Mask | None] | None) -> None:
    found = measure(ORIGINALS, ARTIFACTS, truths)
    plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert plain["agreement"]["mean"] == found.mean_agreement
    assert len(plain["each_picture"]) == 6
    if truths is None:
        assert plain["against_truth"] is None
        return
    assert found.accuracy is not None
    assert plain["against_truth"]["mean_iou"]["drop_points"] == found.accuracy.miou_drop
    assert plain["against_truth"]["classes"]["ghost"]["original_iou"] is None


PICTURE = Picture("p", carry([TRUTHS[0]])[0], TRUTHS[0])


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        (lambda frame: frame[:5, :5, 0], "uint8 5×5 for picture p"),
        (lambda frame: frame[:, :, 0].astype(np.int64), "int64"),
        (lambda frame: frame[:, :, 0] + np.uint8(9), "class 11"),
    ],
)
def test_what_is_no_mask_is_refused(path: Callable[[Image], Mask], complaint: str) -> None:
    reference = Reference.of(lambda frame: frame[:, :, 0].copy(), [PICTURE], CONTRACT)
    with pytest.raises(GateFailed, match=complaint):
        compare(reference, path)


@pytest.mark.parametrize(
    ("truth", "complaint"),
    [(TRUTHS[0][:4], "the truth of p is"), (np.full((40, 56), 77, np.uint8), "holds class 77")],
)
def test_a_truth_that_does_not_fit_is_named(truth: Mask, complaint: str) -> None:
    with pytest.raises(DatasetError, match=complaint):
        Reference.of(lambda frame: frame[:, :, 0].copy(), [PICTURE._replace(truth=truth)], CONTRACT)


def test_no_pictures_is_no_pass() -> None:
    with pytest.raises(ConfigError, match="no pictures"):
        Reference.of(lambda frame: frame[:, :, 0], [], CONTRACT)


@pytest.mark.parametrize(
    "bad", [{"contour_share": 0.0}, {"edge_distance": -1}, {"resamples": 5}, {"min_class_pixels": 0}]
)
def test_settings_that_measure_nothing_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Settings(**bad)  # type: ignore[arg-type]
