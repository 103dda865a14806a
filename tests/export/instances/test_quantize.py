from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from edgeseg_export.likeness import Masks, Objects, likeness_of
from edgeseg_export.onnx_file import export_onnx
from edgeseg_export.quantize_openvino import quantize_ir
from edgeseg_export.quantize_ort import Recipe, quantize_onnx
from edgeseg_runtime.contract import Selection
from tests.export.instances.conftest import TrainedInstances
from tests.export.instances.test_onnx_file import FRAMES, LABELS, untrained


def quantised_convolutions(path: Path) -> tuple[int, int]:
    """Return how many convolutions read int8 weights, and how many there are."""
    model = onnx.load(path)
    made = {name: node.op_type for node in model.graph.node for name in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    return sum(made.get(node.input[1]) == "DequantizeLinear" for node in convolutions), len(convolutions)


def test_objects_tell_recipes_apart_where_pixels_would_not(things: TrainedInstances, tmp_path: Path) -> None:
    """Ranges measured on black pictures: most of the ground stays ground."""
    alike = likeness_of(things.module.contract)
    assert isinstance(alike, Objects)
    assert isinstance(likeness_of(things.module.contract.from_dict({"labels": [{"name": "a", "color": [1, 2, 3]}],
                                                                    "height": 8, "width": 8})), Masks)  # fmt: skip
    frames = things.calibration[:12]
    expected = alike.results(things.onnx, frames)
    shares = []
    for name, pictures in (("good", things.calibration), ("bad", [frame // 12 for frame in frames])):
        quantize_onnx(things.onnx, tmp_path / f"{name}.onnx", things.module, pictures, Recipe("minmax"))
        shares.append(alike.share(expected, alike.results(tmp_path / f"{name}.onnx", frames)))
    assert shares[0] > 0.97
    assert shares[1] < 0.7
    assert alike.share(expected, expected) == 1


def test_the_heads_last_convolutions_and_all_after_them_stay_in_float(things: TrainedInstances, tmp_path: Path) -> None:
    quantize_onnx(things.onnx, tmp_path / "model.onnx", things.module, things.calibration[:8])
    int8, all_ = quantised_convolutions(tmp_path / "model.onnx")
    assert (int8, all_) == (all_ - 4, all_)  # scores, distances, coefficients, prototypes


@pytest.mark.slow
def test_a_detector_is_int8_up_to_the_choice_of_its_regions(tmp_path: Path) -> None:
    module = untrained("maskrcnn_mobilenet_v2_fpn", Selection((0.3,) * len(LABELS)))
    export_onnx(module, tmp_path / "float.onnx")
    quantize_onnx(tmp_path / "float.onnx", tmp_path / "model.onnx", module, FRAMES, Recipe("minmax"))
    int8, all_ = quantised_convolutions(tmp_path / "model.onnx")
    assert 50 < int8 < all_
    quantize_ir(tmp_path / "float.onnx", tmp_path / "model.xml", module, FRAMES)
    alike = Objects()
    expected = alike.results(tmp_path / "float.onnx", FRAMES)
    for name in ("model.onnx", "model.xml"):
        found = alike.results(tmp_path / name, FRAMES)
        assert [len(each.objects) for each in found] == [len(each.objects) for each in expected]
