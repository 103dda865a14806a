from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from edgeseg_export.parity.compare import Reference, compare
from edgeseg_export.parity.comparison import Comparison, Settings
from edgeseg_export.parity.pictures import Picture
from edgeseg_export.parity.thresholds import DEFAULTS, Limits, Overrides, Thresholds
from edgeseg_export.parity.verdict import judge
from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.errors import ConfigError, GateFailed

LABELS = (Label("sky", (0, 0, 0)), Label("road", (9, 9, 9)), Label("pole", (99, 9, 9)))
CONTRACT = Contract(LABELS, 40, 56)
SETTINGS = Settings(min_class_pixels=50, resamples=100, contour_share=0.03)  # 1.6 px of these small pictures


def comparison(wrong: int, *, pictures: int = 25, truth: bool = True) -> Comparison:
    """20×50 pictures, sky above road; the artifact calls the first `wrong` road pixels sky."""
    frame = np.zeros((20, 50, 3), np.uint8)
    expected = np.zeros((20, 50), np.uint8)
    expected[10:] = 1
    found = expected.copy()
    found.reshape(-1)[500 : 500 + wrong] = 0
    items = [Picture(f"p{index}", frame, expected if truth else None) for index in range(pictures)]
    return compare(Reference.of(lambda _: expected, items, CONTRACT, SETTINGS), lambda _: found)


def test_equal_masks_pass_at_every_precision() -> None:
    for thresholds in DEFAULTS.values():
        verdict = judge(comparison(0), thresholds)
        assert (verdict.level, verdict.passed) == ("pass", True)
        verdict.enforce("model.onnx")


def test_a_failure_names_the_number_and_what_is_allowed() -> None:
    verdict = judge(comparison(40), DEFAULTS["int8"])
    assert verdict.level == "fail"
    assert "pixel agreement, mean over pictures: 0.9600, allowed is at least 0.98" in map(str, verdict.failures)
    # IoU of road 460/500, of sky 500/540
    assert "IoU drop of a class, points (road): 8.0000, allowed is at most 4" in map(str, verdict.failures)
    with pytest.raises(GateFailed, match=r"model\.onnx does not draw .* 0\.9600, allowed is at least 0\.98"):
        verdict.enforce("model.onnx")


def test_of_many_failing_classes_the_worst_is_named_and_the_rest_counted() -> None:
    lines = judge(comparison(100), DEFAULTS["int8"]).failure_lines()
    assert len(lines) == len({line.split(":")[0] for line in lines})
    # IoU of road 400/500, of sky 500/600
    assert "IoU drop of a class, points (road): 20.0000, allowed is at most 4 (1 more class too)" in lines
    assert judge(comparison(0), DEFAULTS["int8"]).failure_lines() == ()


def test_between_the_bounds_is_a_warning_that_passes() -> None:
    verdict = judge(comparison(8), DEFAULTS["int8"])
    assert (verdict.level, verdict.passed) == ("warn", True)
    assert [str(finding) for finding in verdict.warnings] == ["mIoU drop, points: 1.5874, allowed is at most 1"]
    verdict.enforce("model.onnx")


def test_the_same_masks_fail_a_stricter_precision() -> None:
    assert judge(comparison(1), DEFAULTS["int8"]).level == "pass"
    assert judge(comparison(1), DEFAULTS["float32"]).level == "fail"


def test_a_gain_against_truth_is_no_failure_but_other_masks_are() -> None:
    frame, truth = np.zeros((20, 50, 3), np.uint8), np.zeros((20, 50), np.uint8)
    truth[10:] = 1
    weak = truth.copy()
    weak[10:12] = 0
    items = [Picture(f"p{index}", frame, truth) for index in range(25)]
    verdict = judge(compare(Reference.of(lambda _: weak, items, CONTRACT, SETTINGS), lambda _: truth), DEFAULTS["int8"])
    assert {finding.limit for finding in verdict.failures} == {
        "min_agreement",
        "min_worst_agreement",
        "min_edge_agreement",
    }


def test_what_was_not_judged_is_said() -> None:
    assert any("no verdict on pole" in note for note in judge(comparison(0), DEFAULTS["int8"]).notes)
    assert any(
        "no picture came with truth" in note for note in judge(comparison(0, truth=False), DEFAULTS["int8"]).notes
    )
    assert any("only 3 pictures" in note for note in judge(comparison(0, pictures=3), DEFAULTS["int8"]).notes)
    flat = compare(
        Reference.of(
            lambda frame: frame[:, :, 0].copy(), [Picture("p", np.zeros((9, 9, 3), np.uint8), None)], CONTRACT, SETTINGS
        ),
        lambda frame: frame[:, :, 0].copy(),
    )
    assert any("no class edges" in note for note in judge(flat, DEFAULTS["int8"]).notes)


@pytest.mark.parametrize("limit", [field.name for field in fields(Limits)])
def test_every_limit_can_fail_the_gate_alone(limit: str) -> None:
    """An artifact worse in every number passes with all bounds open, and fails with any one of them shut."""
    open_ = Limits(0, 0, 0, 100, 100, 100)
    measured = comparison(400)
    assert judge(measured, Thresholds(open_, open_)).level == "pass"
    shut = Overrides(**{limit: 1.0 if limit.startswith("min_") else 0.0})
    verdict = judge(measured, Thresholds(open_, open_).override(shut))
    assert {finding.limit for finding in verdict.failures} == {limit}


def test_an_override_moves_the_refusal_and_never_leaves_a_later_warning() -> None:
    strict = DEFAULTS["int8"].override(Overrides(max_miou_drop=0.5))
    assert (strict.fail.max_miou_drop, strict.warn.max_miou_drop) == (0.5, 0.5)
    loose = DEFAULTS["int8"].override(Overrides(max_miou_drop=9.0))
    assert (loose.fail.max_miou_drop, loose.warn.max_miou_drop) == (9.0, 1.0)
    assert DEFAULTS["int8"].override(Overrides()) == DEFAULTS["int8"]


def test_every_limit_can_be_overridden() -> None:
    assert [field.name for field in fields(Overrides)] == [field.name for field in fields(Limits)]


def test_bounds_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(ConfigError, match="--min-agreement must lie between 0 and 1, got 99"):
        Overrides(min_agreement=99)
    with pytest.raises(ConfigError, match="--max-class-drop must lie between 0 and 100, got -1"):
        replace(DEFAULTS["int8"].fail, max_class_drop=-1)
    with pytest.raises(ConfigError, match="would come after the refusal"):
        Thresholds(fail=DEFAULTS["float32"].fail, warn=DEFAULTS["int8"].warn)


def test_precisions_grow_more_lenient_with_fewer_bits() -> None:
    order = [DEFAULTS["float32"].fail, DEFAULTS["bf16"].fail, DEFAULTS["int8"].fail]
    for field in fields(Limits):
        bounds = [getattr(limits, field.name) for limits in order]
        assert bounds == sorted(bounds, reverse=field.name.startswith("min_"))
