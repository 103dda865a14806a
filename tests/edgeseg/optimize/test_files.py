"""Real files of a tiny net, in both engines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
import torch
from torch import nn

from edgeseg.data.procedural import ProceduralData, ProceduralSpec
from edgeseg.models.blocks import ConvBnRelu, DepthwiseSeparable
from edgeseg.optimize.files import ModelFiles
from edgeseg.optimize.quantise import Quickly, Well
from edgeseg.optimize.space import Variant, Weights
from edgeseg_export.deployable import Deployable, TorchSegmenter
from edgeseg_export.mixed import ranking_of
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.segmenter import Segmenter

FLOAT32, INT8, MIXED = (Variant(1.0, 0.0, name, "onnxruntime") for name in ("float32", "int8", "mixed"))
ENGINES = ("onnxruntime", "openvino")


@pytest.fixture(scope="module")
def pictures() -> list[Image]:
    data = ProceduralData(ProceduralSpec(height=48, width=64, n=40), "train")
    return [data.read(index).image for index in range(8)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, pictures: list[Image], one_thread: None) -> ModelFiles:
    """The files of a net of four convolutions and the one that makes the scores."""
    root = tmp_path_factory.mktemp("files")
    labels = ProceduralData(ProceduralSpec(height=48, width=64, n=40), "train").labels
    contract = Contract(labels, 48, 64)
    torch.manual_seed(0)
    net = nn.Sequential(ConvBnRelu(3, 16, 3, 2), DepthwiseSeparable(16, 16), ConvBnRelu(16, 16, 3))
    net.append(nn.Conv2d(16, len(labels), 1))
    for parameter in net.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)

    def module(weights: Weights, size: tuple[int, int]) -> Deployable:
        return Deployable(net, replace(contract, height=size[0], width=size[1])).eval()

    return ModelFiles(
        root / "models",
        contract,
        module,
        Well(pictures),
        lambda float_file, int8_file: ranking_of(float_file, int8_file, pictures, root / "sensitivity"),
    )


def float_convolutions(path: Path) -> set[str]:
    """Return the layers of an ONNX file whose weights are no integers."""
    model = onnx.load(path)
    constants = {item.name for item in model.graph.initializer}
    weights = [node.input[1] for node in model.graph.node if node.op_type == "Conv"]
    return {name.removesuffix(".weight") for name in weights if name in constants}


def float_kernels(path: Path) -> int:
    """Count an IR file's kernels that are no integers."""
    operations = openvino.Core().read_model(path).get_ops()
    kernels = [node for node in operations if node.get_type_name() == "Constant" and len(node.shape) >= 4]
    return sum(node.get_element_type().get_type_name() == "f32" for node in kernels if np.prod(node.shape) > 64)


def masks(path: Path, pictures: list[Image]) -> np.ndarray:
    segmenter = Segmenter.load(path)
    return np.stack([segmenter(picture).mask for picture in pictures])


def test_the_ranking_holds_every_layer_once_and_is_kept(files: ModelFiles) -> None:
    ranking = files.ranking(MIXED)
    assert len(set(ranking)) == len(ranking) >= 4
    assert files.ranking(replace(MIXED, engine="openvino", float_layers=2)) == ranking
    kept = list((files.root.parent / "sensitivity").glob("*.json"))
    assert len(kept) == 1
    rows = json.loads(kept[0].read_text(encoding="utf-8"))["rows"]
    assert [row["disagreement"] for row in rows] == sorted((row["disagreement"] for row in rows), reverse=True)


@pytest.mark.parametrize("count", [1, 3])
def test_the_most_sensitive_layers_of_a_mixed_onnx_file_are_in_float(count: int, files: ModelFiles) -> None:
    mixed = replace(MIXED, float_layers=count)
    path = files.get(mixed)
    assert path.parent.name == f"r1-p0-mixed{count}-onnxruntime"
    assert list(files.float_layers(mixed)) == list(files.ranking(MIXED)[:count])
    wanted = {name for name in files.ranking(MIXED)[:count] if name.startswith("net.")}
    assert float_convolutions(path) == float_convolutions(files.get(INT8)) | wanted
    assert Segmenter.load(path).precision == "int8"


def test_the_same_layers_of_a_mixed_openvino_file_are_in_float(files: ModelFiles) -> None:
    ranking = files.ranking(MIXED)
    assert float_kernels(files.get(replace(INT8, engine="openvino"))) == 0
    for count in (1, 3, len(ranking)):
        path = files.get(replace(MIXED, engine="openvino", float_layers=count))
        assert float_kernels(path) == sum(name.startswith("net.") for name in ranking[:count])
        assert Segmenter.load(path).precision == "int8"


@pytest.mark.parametrize("engine", ENGINES)
def test_with_every_layer_in_float_the_masks_are_nearly_the_originals(
    engine: str, files: ModelFiles, pictures: list[Image]
) -> None:
    original = TorchSegmenter(files.module(Weights(), files.contract.size))
    expected = np.stack([original(picture) for picture in pictures])
    every = replace(MIXED, engine=engine, float_layers=len(files.ranking(MIXED)))
    mixed, int8 = (
        float((masks(files.get(variant), pictures) == expected).mean())
        for variant in (every, replace(INT8, engine=engine))
    )
    assert mixed >= int8 and mixed > 0.995


def test_files_that_are_only_timed_have_no_layers_in_float(files: ModelFiles, pictures: list[Image]) -> None:
    shapes = replace(files, root=files.root.parent / "shapes", quantise=Quickly(pictures))
    with pytest.raises(ValueError, match="files that are only timed have every layer in int8"):
        shapes.get(replace(MIXED, float_layers=1))
    assert not shapes.path(replace(MIXED, float_layers=1)).exists()
