"""What really goes wrong between training and a device: the gate sees each, and passes the sound files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from edgeseg_export.instances.parity.compare import compare
from edgeseg_export.instances.parity.comparison import InstanceComparison
from edgeseg_export.instances.parity.faults import (
    leave_duplicates,
    move_thresholds,
    shift_boxes,
    shift_prototypes,
    shift_scores,
)
from edgeseg_export.instances.parity.gate import ObjectGate
from edgeseg_export.instances.parity.limits import INSTANCE_DEFAULTS
from edgeseg_export.instances.parity.paths import measured_path
from edgeseg_export.parity.faults import Fault, plant, rename_labels, swap_labels, swap_red_blue, wrong_normalisation
from edgeseg_export.parity.verdict import judge
from edgeseg_export.quantize_ort import Recipe, quantize_onnx
from edgeseg_runtime.contract import Precision
from edgeseg_runtime.errors import GateFailed
from edgeseg_runtime.segmenter import Segmenter
from tests.export.instances.conftest import TrainedInstances

BRIGHTER = partial(wrong_normalisation, mean=(0.4, 0.45, 0.5), std=(0.2, 0.2, 0.2))


def compared(things: TrainedInstances, file: Path) -> InstanceComparison:
    """Compare whatever the file's contract says, so that the numbers alone have to tell."""
    return compare(things.reference, measured_path(Segmenter.load(file)))


def failures(comparison: InstanceComparison, precision: Precision) -> set[str]:
    return {finding.limit for finding in judge(comparison, INSTANCE_DEFAULTS[precision]).failures}


@pytest.fixture(scope="module")
def int8(things: TrainedInstances, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "model.onnx"
    quantize_onnx(things.onnx, path, things.module, things.calibration, Recipe("minmax", bias_corrected=True))
    return path


def test_the_pictures_are_worth_a_verdict(things: TrainedInstances) -> None:
    objects = [score for seen in things.reference.seen for score in seen.objects.scores.tolist()]
    assert len(objects) > 50
    assert things.reference.accuracy is not None
    assert things.reference.accuracy.class_ap().min() > 0.7


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_the_sound_float_file_passes_without_a_word(things: TrainedInstances, engine: str) -> None:
    entry = ObjectGate(things.reference).examine("model", Segmenter.load(things.onnx, engine=engine))
    assert (entry.verdict.level, entry.verdict.notes) == ("pass", ())
    assert entry.comparison.mask_iou > 0.9999
    assert entry.comparison.score_drift[1] < 0.01


def test_the_sound_int8_file_passes(things: TrainedInstances, int8: Path) -> None:
    entry = ObjectGate(things.reference).examine("model", Segmenter.load(int8))
    assert entry.verdict.passed
    assert entry.comparison.score_drift[0] > 0  # it is another arithmetic


@pytest.mark.parametrize(
    ("fault", "seen_by"),
    [
        (shift_boxes, {"max_box_drift", "max_box_shift"}),
        (shift_prototypes, {"min_mask_iou", "max_ap_drop"}),
        (shift_scores, {"max_score_drift"}),
        (partial(move_thresholds, to=0.42), {"max_changed_objects"}),
        (partial(move_thresholds, to=0.2), {"max_changed_objects"}),
        (leave_duplicates, {"max_changed_objects", "max_ap_drop"}),
        (swap_labels, {"max_class_flips", "max_ap_drop"}),
        (swap_red_blue, {"max_class_flips", "max_ap_drop"}),
        (BRIGHTER, {"min_mask_iou", "max_box_drift", "max_ap_drop"}),
    ],
    ids=["half a pixel", "one cell", "bias", "higher", "lower", "no NMS", "labels", "red and blue", "normalisation"],
)
def test_a_fault_in_a_float_file_is_seen(
    things: TrainedInstances, tmp_path: Path, fault: Fault, seen_by: set[str]
) -> None:
    found = failures(compared(things, plant(things.onnx, tmp_path / "faulty.onnx", fault)), "float32")
    assert seen_by <= found


@pytest.mark.parametrize(
    ("fault", "seen_by"),
    [
        (shift_boxes, {"max_box_shift"}),
        (shift_prototypes, {"min_mask_iou", "max_ap_drop"}),
        (shift_scores, {"max_score_drift"}),
        (leave_duplicates, {"max_changed_objects", "max_ap_drop"}),
        (swap_labels, {"max_class_flips", "max_ap_drop"}),
        (swap_red_blue, {"max_class_flips", "max_ap_drop"}),
    ],
    ids=["half a pixel", "one cell", "bias", "no NMS", "labels", "red and blue"],
)
def test_what_int8_excuses_hides_no_fault(
    things: TrainedInstances, int8: Path, tmp_path: Path, fault: Fault, seen_by: set[str]
) -> None:
    found = failures(compared(things, plant(int8, tmp_path / "faulty.onnx", fault)), "int8")
    assert seen_by <= found


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        (partial(move_thresholds, to=0.41), "selects objects by"),
        (leave_duplicates, "selects objects by"),
        (rename_labels, "class 0 is 'box', the original's is 'disc'"),
    ],
)
def test_another_contract_is_refused_even_where_no_picture_shows_it(
    things: TrainedInstances, tmp_path: Path, fault: Callable[..., None], complaint: str
) -> None:
    file = plant(things.onnx, tmp_path / "faulty.onnx", fault)
    with pytest.raises(GateFailed, match=complaint):
        ObjectGate(things.reference).examine("faulty", Segmenter.load(file))


def test_a_file_without_the_fault_of_another_task_says_so(things: TrainedInstances, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no int8 convolution"):
        from edgeseg_export.parity.faults import wrong_int8_scale

        plant(things.onnx, tmp_path / "faulty.onnx", wrong_int8_scale)
