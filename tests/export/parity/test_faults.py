"""Every fault that has cost someone their masks on the way to a device is planted, and the gate must refuse it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnx
import pytest

from edgeseg_export.deployable import Deployable, TorchSegmenter
from edgeseg_export.onnx_file import export_onnx
from edgeseg_export.parity import faults
from edgeseg_export.parity.compare import compare
from edgeseg_export.parity.deployed import deployed_path
from edgeseg_export.parity.thresholds import DEFAULTS
from edgeseg_export.parity.verdict import Verdict, judge
from edgeseg_export.quantize_openvino import quantize_ir
from edgeseg_export.quantize_ort import quantize_onnx
from edgeseg_runtime.errors import GateFailed
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from tests.export.conftest import Trained

IMAGENET_STD = (0.229, 0.224, 0.225)
INT8_CONVOLUTIONS = 8
"""Of the small network; its last convolution, which makes the scores, stays in float."""


@pytest.fixture(scope="session")
def int8_onnx(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "model.onnx"
    quantize_onnx(trained.onnx, path, trained.module, trained.calibration)
    return path


@pytest.fixture(scope="session")
def mask_onnx(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The portable form of the same network: upsampling and arg-max in the graph."""
    path = tmp_path_factory.mktemp("mask") / "model.onnx"
    export_onnx(Deployable(trained.module.net, replace(trained.module.contract, output="mask")), path)
    return path


def gate(trained: Trained, path: Path, engine: str | None = None) -> Verdict:
    """What the gate says of a file, by the thresholds of the precision that the file states."""
    segmenter = Segmenter.load(path, engine=engine, threads=1)
    artifact = deployed_path(segmenter, trained.module.contract)
    return judge(compare(trained.reference, artifact), DEFAULTS[segmenter.precision])


# An untouched export passes.


def test_the_pictures_are_worth_a_verdict(trained: Trained) -> None:
    accuracy = trained.reference.accuracy
    assert accuracy is not None
    assert np.nanmean(accuracy.iou()) > 0.4
    assert gate(trained, trained.onnx).notes == ()


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_untouched_float_export_passes(trained: Trained, engine: str) -> None:
    assert gate(trained, trained.onnx, engine).level == "pass"


def test_an_untouched_mask_export_passes(trained: Trained, mask_onnx: Path) -> None:
    assert gate(trained, mask_onnx).level == "pass"


def test_an_untouched_int8_export_passes(trained: Trained, int8_onnx: Path) -> None:
    assert gate(trained, int8_onnx).passed


def test_an_untouched_openvino_int8_export_passes(trained: Trained, tmp_path: Path) -> None:
    quantize_ir(trained.onnx, tmp_path / "model.xml", trained.module, trained.calibration)
    assert gate(trained, tmp_path / "model.xml").passed


# Faults of a float file.

FLOAT_FAULTS: dict[str, faults.Fault] = {
    "red and blue swapped": faults.swap_red_blue,
    "nearest instead of bilinear resizing": faults.nearest_resize,
    "two labels swapped": partial(faults.swap_labels, one=0, other=1),
    "mean of another data set": partial(faults.wrong_normalisation, mean=(0.5, 0.5, 0.5), std=IMAGENET_STD),
    "mean in the other channel order": partial(
        faults.wrong_normalisation, mean=(0.406, 0.456, 0.485), std=IMAGENET_STD
    ),
    "stale normalisation": partial(faults.wrong_normalisation, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
}


@pytest.mark.parametrize("name", FLOAT_FAULTS)
def test_a_fault_of_a_float_file_is_refused(trained: Trained, tmp_path: Path, name: str) -> None:
    verdict = gate(trained, faults.plant(trained.onnx, tmp_path / "faulty.onnx", FLOAT_FAULTS[name]))
    assert "min_agreement" in {finding.limit for finding in verdict.failures}
    with pytest.raises(GateFailed, match=r"allowed is at least 0\.9999"):
        verdict.enforce("faulty.onnx")


UPSAMPLING_FAULTS: dict[str, faults.Fault] = {
    "half-pixel shift": faults.shift_half_pixel,
    "nearest upsampling": faults.nearest_upsampling,
}


@pytest.mark.parametrize("name", UPSAMPLING_FAULTS)
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_fault_of_the_upsampling_is_refused(
    trained: Trained, mask_onnx: Path, tmp_path: Path, name: str, engine: str
) -> None:
    faulty = faults.plant(mask_onnx, tmp_path / "faulty.onnx", UPSAMPLING_FAULTS[name])
    assert not gate(trained, faulty, engine).passed


def test_frames_half_a_pixel_off_are_refused_even_by_the_bounds_of_int8(trained: Trained) -> None:
    """A resizer with the other convention of pixel centres, here in front of an otherwise perfect path."""
    original = TorchSegmenter(trained.module)
    shift = np.array([[1, 0, 0.5], [0, 1, 0.5]], np.float32)

    def shifted(frame: Image) -> Image:
        moved = cv2.warpAffine(frame, shift, frame.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        return original(moved.astype(np.uint8))

    assert not judge(compare(trained.reference, shifted), DEFAULTS["int8"]).passed


def test_labels_that_mean_something_else_are_refused_although_the_masks_are_equal(
    trained: Trained, tmp_path: Path
) -> None:
    faulty = faults.plant(trained.onnx, tmp_path / "faulty.onnx", faults.rename_labels)
    one, other = trained.module.contract.names[:2]
    with pytest.raises(GateFailed, match=f"class 0 is '{other}', the original's is '{one}'"):
        gate(trained, faulty)


def test_another_number_of_classes_is_refused(trained: Trained) -> None:
    contract = trained.module.contract
    original = replace(contract, labels=contract.labels[:-1])
    with pytest.raises(GateFailed, match=f"original's {len(original.labels)} classes: {len(contract.labels)} classes"):
        deployed_path(Segmenter.load(trained.onnx, threads=1), original)


# Faults of an int8 file. The bounds are wider, so that only what int8 alone would not do is refused.

INT8_FAULTS: dict[str, faults.Fault] = {
    name: FLOAT_FAULTS[name] for name in ("red and blue swapped", "two labels swapped")
} | {"nearest instead of bilinear resizing": faults.nearest_resize}


@pytest.mark.parametrize("name", INT8_FAULTS)
def test_a_fault_of_an_int8_file_is_refused(trained: Trained, int8_onnx: Path, tmp_path: Path, name: str) -> None:
    assert not gate(trained, faults.plant(int8_onnx, tmp_path / "faulty.onnx", INT8_FAULTS[name])).passed


@pytest.mark.parametrize("layer", range(INT8_CONVOLUTIONS))
def test_a_wrong_int8_scale_is_refused_whichever_layer_it_is_in(
    trained: Trained, int8_onnx: Path, tmp_path: Path, layer: int
) -> None:
    fault = partial(faults.wrong_int8_scale, layer=layer)
    assert not gate(trained, faults.plant(int8_onnx, tmp_path / "faulty.onnx", fault)).passed


@pytest.mark.parametrize("mean", [(0.0, 0.0, 0.0), (0.5, 0.5, 0.5)], ids=["forgotten mean", "stale normalisation"])
def test_a_wrong_normalisation_before_int8_is_refused(
    trained: Trained, tmp_path: Path, mean: tuple[float, float, float]
) -> None:
    fault = partial(faults.wrong_normalisation, mean=mean, std=IMAGENET_STD if mean[0] == 0 else mean)
    faulty = faults.plant(trained.onnx, tmp_path / "faulty.onnx", fault)
    quantize_onnx(faulty, tmp_path / "int8.onnx", trained.module, trained.calibration)
    assert not gate(trained, tmp_path / "int8.onnx").passed


def test_unbalanced_channels_leave_the_float_masks_alone_and_are_refused_in_int8(
    trained: Trained, tmp_path: Path
) -> None:
    unbalanced = faults.plant(trained.onnx, tmp_path / "float.onnx", faults.unbalance_channels)
    masks = compare(trained.reference, deployed_path(Segmenter.load(unbalanced, threads=1), trained.module.contract))
    assert masks.mean_agreement > 0.99999
    quantize_onnx(unbalanced, tmp_path / "int8.onnx", trained.module, trained.calibration)
    assert not gate(trained, tmp_path / "int8.onnx").passed
    quantize_ir(unbalanced, tmp_path / "int8.xml", trained.module, trained.calibration)
    assert not gate(trained, tmp_path / "int8.xml").passed


def test_calibration_on_dark_pictures_is_refused(trained: Trained, tmp_path: Path) -> None:
    """In OpenVINO, whose int8 begins at the normalised frame: a range learnt at night cuts off the day.

    The file for ONNX Runtime takes the frame's own uint8 for the first quantised tensor, and nothing is cut off there.
    """
    dark = [(picture * 0.15).astype(np.uint8) for picture in trained.calibration]
    quantize_ir(trained.onnx, tmp_path / "dark.xml", trained.module, dark)
    verdict = gate(trained, tmp_path / "dark.xml")
    assert {"min_agreement", "max_miou_drop"} <= {finding.limit for finding in verdict.failures}


# The faults themselves.


def test_a_fault_that_finds_nothing_to_spoil_says_so(trained: Trained, tmp_path: Path) -> None:
    for fault in (faults.wrong_int8_scale, faults.shift_half_pixel):
        with pytest.raises(ValueError, match=r"no int8 convolution|resizes nothing"):
            faults.plant(trained.onnx, tmp_path / "faulty.onnx", fault)
    assert not (tmp_path / "faulty.onnx").exists()


def test_faults_leave_the_source_alone(trained: Trained, tmp_path: Path) -> None:
    before = trained.onnx.read_bytes()
    faults.plant(trained.onnx, tmp_path / "faulty.onnx", faults.swap_red_blue, faults.swap_labels)
    assert trained.onnx.read_bytes() == before
    onnx.checker.check_model(onnx.load(tmp_path / "faulty.onnx"), full_check=True)


@pytest.mark.parametrize(
    ("mean", "std"), [((0.5, 0.5, 0.5), IMAGENET_STD), ((0.0, 0.1, 0.2), (0.5, 0.25, 1.0))], ids=["mean", "both"]
)
def test_a_wrong_normalisation_is_the_one_it_says(
    trained: Trained, tmp_path: Path, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> None:
    """The faulty file must draw the masks of the original network under a contract with that mean and std."""
    fault = partial(faults.wrong_normalisation, mean=mean, std=std)
    faulty = Segmenter.load(faults.plant(trained.onnx, tmp_path / "faulty.onnx", fault), threads=1)
    expected = TorchSegmenter(Deployable(trained.module.net, replace(trained.module.contract, mean=mean, std=std)))
    frames = [trained.reference.pictures[index].image for index in range(5)]
    shares = [float(np.mean(faulty(frame).mask == expected(frame))) for frame in frames]
    # padding adds zeros after the graph's own normalisation, so the outermost pixels may differ
    assert min(shares) > 0.98
