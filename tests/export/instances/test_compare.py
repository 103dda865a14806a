from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from edgeseg_export.instances.parity.compare import InstanceReference, compare
from edgeseg_export.instances.parity.comparison import InstanceComparison
from edgeseg_export.instances.parity.gate import ObjectGate
from edgeseg_export.instances.parity.limits import INSTANCE_DEFAULTS, InstanceLimits, InstanceOverrides
from edgeseg_export.instances.parity.objects import InstancePath, InstancePicture, Seen
from edgeseg_export.parity.comparison import Sampling
from edgeseg_export.parity.entry import Entry
from edgeseg_export.parity.thresholds import Thresholds
from edgeseg_export.parity.verdict import judge
from edgeseg_runtime.errors import ConfigError, DatasetError
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.segmenter import Segmenter
from tests.export.instances.conftest import TrainedInstances
from tests.export.instances.results import CONTRACT, Drawn, result, seen
from tests.export.instances.test_average_precision import thing

CAT: Drawn = (4, 4, 24, 24, 0, 0.9)
DOG: Drawn = (30, 10, 50, 30, 1, 0.8)
SAMPLING = Sampling(resamples=100, examples=3)


def numbered(index: int) -> Image:
    """Return a frame that knows its number."""
    return np.full((40, 60, 3), index, np.uint8)


def comparison(originals: list[list[Drawn]], artifacts: list[list[Drawn]], *, truth: bool = True) -> InstanceComparison:
    """Compare what is found on numbered pictures; the truth is the cat and the dog on each."""
    things = (thing(CAT[:4], 0), thing(DOG[:4], 1)) if truth else None
    pictures = [InstancePicture(f"p{index}", numbered(index), things) for index in range(len(originals))]

    def path(found: list[list[Drawn]], frame: Image) -> Seen:
        return seen(found[int(frame[0, 0, 0])])

    reference = InstanceReference.of(lambda frame: path(originals, frame), pictures, CONTRACT, SAMPLING)
    return compare(reference, lambda frame: path(artifacts, frame))


def test_the_numbers_of_two_hand_made_pictures() -> None:
    moved: Drawn = (6, 4, 26, 24, 0, 0.8)
    found = comparison([[CAT, DOG], [CAT]], [[moved, (*DOG[:4], 0, 0.8)], [CAT, DOG]])
    assert (found.originals, found.pairs, found.missed, found.extra, found.at_threshold) == (3, 3, 0, 1, 0)
    assert found.changed_share == pytest.approx(100 / 3)
    assert found.class_flips == pytest.approx(100 / 3)
    assert found.mask_iou == pytest.approx((18 / 22 + 1 + 1) / 3)
    assert found.score_drift == pytest.approx((10 / 3, 10), rel=1e-5)
    assert found.box_drift == pytest.approx(4 / 12)
    assert np.isnan(found.box_shift)  # three pairs say nothing of a common shift
    assert found.agreement.tolist() == pytest.approx([18 / 22 / 2, 1 / 1.5])
    assert list(found.worst) == [0, 1]


def test_a_common_shift_is_told_from_drift() -> None:
    boxes = [[CAT, DOG]] * 20
    apart = [[(3, 4, 23, 24, 0, 0.9), (31, 10, 51, 30, 1, 0.8)]] * 20
    along = [[(5, 4, 25, 24, 0, 0.9), (31, 10, 51, 30, 1, 0.8)]] * 20
    assert comparison(boxes, apart).box_drift == comparison(boxes, along).box_drift == 0.5
    assert comparison(boxes, apart).box_shift == 0
    assert comparison(boxes, along).box_shift == 1


def test_accuracy_is_lost_against_the_truth() -> None:
    found = comparison([[CAT, DOG]] * 4, [[CAT, DOG], [CAT], [CAT], [CAT]])
    assert found.accuracy is not None
    assert found.accuracy.mean_ap == pytest.approx((1, (1 + 26 / 101) / 2))  # recalls 0, .01, … .25 of dogs
    assert found.accuracy.class_drops.tolist() == pytest.approx([0, 100 * 75 / 101])
    bounds = found.accuracy.drop_interval
    assert bounds is not None
    assert bounds[0] < found.accuracy.drop <= bounds[1] <= 50
    assert comparison([[CAT]], [[CAT]]).accuracy.drop_interval is None  # type: ignore[union-attr]


def test_equal_objects_pass_at_every_precision() -> None:
    found = comparison([[CAT, DOG]] * 20, [[CAT, DOG]] * 20)
    for thresholds in INSTANCE_DEFAULTS.values():
        verdict = judge(found, thresholds)
        assert (verdict.level, verdict.notes) == ("pass", ())


def test_what_was_not_judged_is_said() -> None:
    def notes(found: InstanceComparison) -> str:
        return "\n".join(judge(found, INSTANCE_DEFAULTS["int8"]).notes)

    assert "only 1 pictures" in notes(comparison([[CAT]], [[CAT]]))
    assert "only 1 objects were found by both" in notes(comparison([[CAT]], [[CAT]]))
    assert "the original finds no object" in notes(comparison([[]], [[]]))
    assert "no picture came with truth" in notes(comparison([[CAT]], [[CAT]], truth=False))
    near = comparison([[(*CAT[:5], 0.51)]], [[(*CAT[:5], 0.49)]])
    assert "1 objects lie at their score threshold" in notes(near)
    assert near.changed_share == 0


def test_objects_out_of_nothing_fail() -> None:
    found = comparison([[]] * 3, [[CAT], [], []])
    assert found.changed_share == 100
    assert not judge(found, INSTANCE_DEFAULTS["int8"]).passed


@pytest.mark.parametrize("limit", [field.name for field in fields(InstanceLimits)])
def test_every_limit_can_fail_the_gate_alone(limit: str) -> None:
    """An artifact worse in every number passes with all bounds open, and fails with any one of them shut."""
    shifted: list[Drawn] = [(6, 4, 26, 24, 0, 0.8), (32, 10, 52, 30, 0, 0.8)]
    measured = comparison([[CAT, DOG]] * 20, [shifted] * 19 + [[]])
    open_ = InstanceLimits(0, *[100] * 6)
    assert judge(measured, Thresholds(open_, open_)).level == "pass"
    shut = InstanceOverrides(**{limit: 1.0 if limit.startswith("min_") else 0.0})
    verdict = judge(measured, Thresholds(open_, open_).override(shut))
    assert {finding.limit for finding in verdict.failures} == {limit}
    assert InstanceLimits.TITLES[limit] in verdict.failure_lines()[0]


def test_bounds_are_those_that_can_be_overridden_and_grow_more_lenient_with_fewer_bits() -> None:
    assert [field.name for field in fields(InstanceOverrides)] == [field.name for field in fields(InstanceLimits)]
    order = [INSTANCE_DEFAULTS[name].fail for name in ("float32", "bf16", "int8")]
    for field in fields(InstanceLimits):
        bounds = [getattr(limits, field.name) for limits in order]
        assert bounds == sorted(bounds, reverse=field.name.startswith("min_"))
    with pytest.raises(ConfigError, match="--max-ap-drop must lie between 0 and 100, got -1"):
        InstanceOverrides(max_ap_drop=-1)


class TestBadInput:
    def test_no_pictures(self) -> None:
        with pytest.raises(ConfigError, match="no pictures to compare objects on"):
            InstanceReference.of(lambda _: seen([]), [], CONTRACT)

    def test_truth_out_of_the_picture(self) -> None:
        picture = InstancePicture("p", numbered(0), (thing((50, 30, 61, 40), 0),))
        with pytest.raises(DatasetError, match="an object of p reaches out of the picture of 40×60"):
            InstanceReference.of(lambda _: seen([]), [picture], CONTRACT)

    def test_truth_of_an_unknown_class(self) -> None:
        picture = InstancePicture("p", numbered(0), (thing((0, 0, 9, 9), 2),))
        with pytest.raises(DatasetError, match="the truth of p holds class 2; the labels end at 1"):
            InstanceReference.of(lambda _: seen([]), [picture], CONTRACT)


class TestDrop:
    def test_it_is_mask_ap_where_there_is_truth(self, things: TrainedInstances) -> None:
        gate = ObjectGate(things.reference)
        drop, unit = gate.drop(gate.examine("x", Segmenter.load(things.onnx)).comparison)
        assert (abs(drop) < 0.01, unit) == (True, "mask AP points")

    def test_without_truth_it_is_what_is_not_alike(self, things: TrainedInstances) -> None:
        bare = [picture._replace(truth=None) for picture in things.pictures[:4]]
        seen_ = dict(zip((id(each.image) for each in bare), things.reference.seen, strict=False))
        reference = InstanceReference.of(lambda frame: seen_[id(frame)], bare, things.module.contract)
        gate = ObjectGate(reference)
        drop, unit = gate.drop(gate.examine("x", Segmenter.load(things.onnx)).comparison)
        assert (abs(drop) < 0.1, unit) == (True, "% of the objects")


class TestReport:
    @pytest.fixture
    def page(self, things: TrainedInstances, tmp_path: Path) -> str:
        gate = ObjectGate(things.reference)
        found = compare(things.reference, self.worse(things))
        entry = Entry("onnx <int8>", found, judge(found, INSTANCE_DEFAULTS["float32"]))
        gate.write_report(tmp_path / "report.html", "run", [entry], {"checkpoint": "best & last"})
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    @staticmethod
    def worse(things: TrainedInstances) -> InstancePath:
        """Return a path that misses every object of the third picture and shows one more on the second."""
        by_image = {id(each.image): index for index, each in enumerate(things.pictures)}

        def path(frame: Image) -> Seen:
            index = by_image[id(frame)]
            found = things.reference.seen[index]
            if index == 2:
                nothing = replace(result([], things.module.contract), height=64, width=96)
                return Seen(nothing, nothing)
            if index == 1:
                first = result([(0, 0, 9, 9, 1, 0.99)], things.module.contract)
                one = found.objects
                both = replace(
                    one,
                    boxes=np.concatenate([first.boxes, one.boxes]),
                    scores=np.concatenate([first.scores, one.scores]),
                    labels=np.concatenate([first.labels, one.labels]),
                    patches=first.patches + one.patches,
                )
                return Seen(both, found.candidates)
            return found

        return path

    def test_it_is_whole_and_says_what_was_refused(self, page: str) -> None:
        assert "onnx &lt;int8&gt;" in page
        assert "best &amp; last" in page
        assert "1 refused" in page
        assert "objects missed or extra, %" in page
        assert "http" not in page.replace("http-equiv", "")
        assert "$" not in page

    def test_the_worst_pictures_are_shown_worst_first(self, page: str, things: TrainedInstances) -> None:
        assert page.count('class="row"') == 2
        first, second = (page.index(f"<strong>{things.pictures[index].name}</strong>") for index in (2, 1))
        assert first < second
        assert page.count('alt="missed and extra of') == 2
        assert page.count("data:image/webp;base64,") == 8  # truth, original, artifact, what only one has
