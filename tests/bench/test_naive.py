from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper

from edgeseg_bench.naive import NaiveLoop, interpolation_matrix
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError, SourceError
from edgeseg_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from tests.conftest import ColourClip, TinyModel

STRIDE = 4


@pytest.fixture
def naive_file(colour_contract: Contract, tmp_path: Path) -> Path:
    """The tiny model as most people would export it: normalised float32 (1, 3, height, width) in."""
    rows, columns = colour_contract.size
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, rows, columns])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3, rows // STRIDE, columns // STRIDE])
    node = helper.make_node("AveragePool", ["image"], ["scores"], kernel_shape=[STRIDE] * 2, strides=[STRIDE] * 2)
    graph = helper.make_graph([node], "naive", [image], [scores])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "naive.onnx"
    )
    return tmp_path / "naive.onnx"


@pytest.mark.parametrize(("small", "large"), [(1, 1), (1, 9), (3, 7), (8, 8), (45, 360), (9, 4)])
def test_interpolation_is_pytorchs(small: int, large: int) -> None:
    matrix = interpolation_matrix(small, large)
    unit = torch.eye(small)[:, None, :]  # each input position by itself
    wanted = F.interpolate(unit, size=large, mode="linear", align_corners=False)[:, 0].T
    np.testing.assert_allclose(matrix, wanted.numpy(), atol=1e-6)


@pytest.mark.parametrize("size", [(24, 32), (48, 64), (37, 51)])
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_it_does_the_same_work_as_the_deployed_path(
    size: tuple[int, int],
    order: Any,
    naive_file: Path,
    tiny_model: TinyModel,
    colour_contract: Contract,
    tmp_path: Path,
) -> None:
    contract = replace(colour_contract, color_order=order)
    naive = NaiveLoop(naive_file, contract)
    deployed = Segmenter.load(tiny_model(contract, tmp_path / "model.onnx", stride=STRIDE))
    for seed in range(5):
        frame = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
        assert (naive(frame) != deployed(frame).mask).mean() < 5e-3  # rounding on the line between two classes


def test_a_clip_is_worked_through_up_to_the_limit(
    naive_file: Path, colour_clip: ColourClip, colour_contract: Contract, tmp_path: Path
) -> None:
    frames, seconds = NaiveLoop(naive_file, colour_contract).run(colour_clip(tmp_path / "clip.avi", frames=7), 5)
    assert frames == 5 and seconds > 0


def test_a_clip_without_frames_is_named(naive_file: Path, colour_contract: Contract, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"absent\.avi gives no frame"):
        NaiveLoop(naive_file, colour_contract).run(tmp_path / "absent.avi", 5)


@pytest.mark.parametrize("change", [{"resize": "letterbox"}, {"interpolation": "area"}, {"output": "mask"}])
def test_contracts_it_has_no_way_for_are_refused(
    change: dict[str, Any], naive_file: Path, colour_contract: Contract
) -> None:
    with pytest.raises(ConfigError, match="only knows"):
        NaiveLoop(naive_file, replace(colour_contract, **change))
