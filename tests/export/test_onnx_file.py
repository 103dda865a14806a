from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from edgeseg.data.procedural import ProceduralData, ProceduralSpec
from edgeseg.models import build
from edgeseg_export.deployable import Deployable, TorchSegmenter
from edgeseg_export.onnx_file import DynamicAxes, export_onnx, to_onnx
from edgeseg_runtime.contract import CONTRACT_KEY, PRECISION_KEY, Contract
from edgeseg_runtime.segmenter import Segmenter

ZOO = ("fast_scnn", "lraspp_mobilenet_v3_large", "unet")  # every other one: tests/edgeseg/models, slow

SIZE = (64, 96)
PICTURES = ProceduralData(ProceduralSpec(height=96, width=128, n=40), "val")


def untrained(model: str, size: tuple[int, int] = SIZE) -> Deployable:
    """A network whose scores lie far enough apart that no rounding decides a pixel."""
    torch.manual_seed(0)
    net = build(model, len(PICTURES.labels), size)
    for parameter in net.parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter)
    contract = Contract(PICTURES.labels, *size)
    net.train()
    with torch.inference_mode():  # batch statistics of real pictures, or deep layers would see nothing but their bias
        frames = torch.from_numpy(np.stack([PICTURES.read(i).image[:64, :96] for i in range(8)]))
        for _ in range(20):
            Deployable(net, contract)(frames)
    return Deployable(net.eval(), contract)


def shape_of(value: Any) -> list[int | str]:
    return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]


def run(path: Path, frames: Any) -> Any:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"frames": frames})[0]


@pytest.fixture(scope="module", params=ZOO)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Deployable, Path]:
    module = untrained(request.param)
    path = tmp_path_factory.mktemp(request.param) / "model.onnx"
    export_onnx(module, path)
    return module, path


class TestEveryArchitecture:
    @pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
    def test_masks_are_the_originals(self, exported: tuple[Deployable, Path], engine: str) -> None:
        module, path = exported
        original, segmenter = TorchSegmenter(module), Segmenter.load(path, engine=engine)
        agreement = []
        for index in range(len(PICTURES)):
            frame = PICTURES.read(index).image
            mask = original(frame)
            assert len(np.unique(mask)) > 1
            agreement.append((mask == segmenter(frame).mask).mean())
        assert np.mean(agreement) >= 0.9999
        assert min(agreement) >= 0.999

    def test_the_file_is_whole_valid_and_says_what_it_is(self, exported: tuple[Deployable, Path]) -> None:
        module, path = exported
        assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]
        loaded = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(loaded, full_check=True)
        assert all(item.data_location == onnx.TensorProto.DEFAULT for item in loaded.graph.initializer)
        metadata = {item.key: item.value for item in loaded.metadata_props}
        assert Contract.from_json(metadata[CONTRACT_KEY]) == module.contract
        assert metadata[PRECISION_KEY] == "float32"
        (image,), (scores,) = loaded.graph.input, loaded.graph.output
        assert (image.name, image.type.tensor_type.elem_type) == ("frames", onnx.TensorProto.UINT8)
        assert shape_of(image) == [1, *SIZE, 3]
        assert (scores.name, scores.type.tensor_type.elem_type) == ("scores", onnx.TensorProto.FLOAT)
        assert shape_of(scores)[:2] == [1, len(PICTURES.labels)]

    def test_the_division_is_in_the_weights(self, exported: tuple[Deployable, Path]) -> None:
        nodes = onnx.load(exported[1]).graph.node
        first = [node.op_type for node in nodes[:4]]
        assert set(first) == {"Transpose", "Cast", "Sub", "Conv"}

    @pytest.mark.slow
    @pytest.mark.parametrize("model", ZOO)
    def test_open_batch_and_size(self, model: str, tmp_path: Path) -> None:
        module = untrained(model)
        check_open(module, tmp_path / "model.onnx", DynamicAxes(batch=True, size=True))


def check_open(module: Deployable, path: Path, axes: DynamicAxes) -> None:
    export_onnx(module, path, axes)
    rng = np.random.default_rng(0)
    height, width = module.contract.size
    for batch in (1, 3) if axes.batch else (1,):
        for size in ((height, width), (2 * height, height + 32)) if axes.size else ((height, width),):
            frames = rng.integers(0, 256, (batch, *size, 3), dtype=np.uint8)
            with torch.inference_mode():
                expected = module(torch.from_numpy(frames)).numpy()
            found = run(path, frames)
            assert found.shape == expected.shape
            scale = float(np.abs(expected).max())
            np.testing.assert_allclose(found, expected, atol=1e-4 * max(scale, 1))


@pytest.fixture
def small(trained: Any) -> Deployable:
    module: Deployable = trained.module
    return module


class TestOpenAxes:
    @pytest.mark.parametrize("axes", [DynamicAxes(batch=True), DynamicAxes(size=True), DynamicAxes(True, True)])
    def test_what_is_open_may_vary(self, small: Deployable, tmp_path: Path, axes: DynamicAxes) -> None:
        path = tmp_path / "model.onnx"
        check_open(small, path, axes)
        shape = shape_of(onnx.load(path).graph.input[0])
        assert [isinstance(axis, str) for axis in shape] == [axes.batch, axes.size, axes.size, False]

    @pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
    def test_an_open_file_is_run_at_its_contracts_size(
        self, small: Deployable, trained: Any, tmp_path: Path, engine: str
    ) -> None:
        export_onnx(small, tmp_path / "model.onnx", DynamicAxes(True, True))
        segmenter = Segmenter.load(tmp_path / "model.onnx", engine=engine)
        frame = trained.reference.pictures[0].image
        assert (segmenter(frame).mask == TorchSegmenter(small)(frame)).mean() >= 0.9999

    def test_a_closed_file_refuses_another_size(self, trained: Any) -> None:
        with pytest.raises(Exception, match="INVALID_ARGUMENT"):
            run(trained.onnx, np.zeros((2, 72, 96, 3), np.uint8))


def test_a_mask_file_gives_uint8_masks(small: Deployable, tmp_path: Path) -> None:
    module = Deployable(small.net, replace(small.contract, output="mask"))
    export_onnx(module, tmp_path / "model.onnx")
    (output,) = onnx.load(tmp_path / "model.onnx").graph.output
    assert (output.name, output.type.tensor_type.elem_type) == ("mask", onnx.TensorProto.UINT8)
    assert shape_of(output) == [1, *small.contract.size]


def test_another_normalisation_is_exported_too(small: Deployable, trained: Any, tmp_path: Path) -> None:
    contract = replace(small.contract, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    module = Deployable(small.net, contract)
    export_onnx(module, tmp_path / "model.onnx")
    frame = trained.reference.pictures[0].image
    mask = Segmenter.load(tmp_path / "model.onnx")(frame).mask
    assert (mask == TorchSegmenter(module)(frame)).mean() >= 0.9999
    assert (mask == TorchSegmenter(small)(frame)).mean() < 0.9999


def test_the_exporter_says_nothing(
    small: Deployable, tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    export_onnx(small, tmp_path / "model.onnx")
    assert capfd.readouterr() == ("", "")
    assert not list(recwarn)


def test_nor_does_it_of_unpooling(caplog: pytest.LogCaptureFixture) -> None:
    class Unpooled(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            pooled, places = torch.nn.functional.max_pool2d(image, 2, return_indices=True)
            return torch.nn.functional.max_unpool2d(pooled, places, [2, 2])

    to_onnx(Deployable(Unpooled(), Contract(PICTURES.labels, 8, 8)), DynamicAxes())
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_training_mode_is_not_exported(small: Deployable, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    restore: Callable[[], Any] = small.eval
    request.addfinalizer(restore)
    small.train()
    export_onnx(small, tmp_path / "model.onnx")
    kinds = {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}
    assert "BatchNormalization" not in kinds
    assert "Dropout" not in kinds
