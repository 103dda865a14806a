from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from edgeseg.models.instances.registry import INSTANCE_MODELS, build_instance
from edgeseg_export.instances.deployable import InstanceDeployable, TorchInstanceSegmenter
from edgeseg_export.onnx_file import DynamicAxes, contract_metadata, export_onnx
from edgeseg_export.openvino_file import read_folded, save_ir
from edgeseg_runtime.contract import CONTRACT_KEY, OUTPUTS, PRECISION_KEY, Contract, Label, Selection
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.preprocess import to_input
from edgeseg_runtime.segmenter import Segmenter
from tests.export.instances.conftest import TrainedInstances
from tests.export.instances.scenes import scene

LABELS = tuple(Label(name, (1, 2, 3)) for name in ("one", "two", "three"))
SIZE = (64, 96)
NETWORKS = ("yolact_shufflenet_v2_x0_5", "maskrcnn_mobilenet_v2_fpn")
FILES = (("model.onnx", "onnxruntime"), ("model.onnx", "openvino"), ("model.xml", "openvino"))
FRAMES = [scene(seed).image for seed in range(5)]


def untrained(name: str, selection: Selection) -> InstanceDeployable:
    """A network of noise that has seen pictures and whose scores lie far enough apart for no rounding to sort them."""
    torch.manual_seed(0)
    output = INSTANCE_MODELS[name].output
    contract = Contract(LABELS, *SIZE, task="instance", output=output, selection=selection)
    module = InstanceDeployable(build_instance(name, len(LABELS), SIZE), contract)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 0.5
            torch.nn.init.uniform_(layer.weight, 0.8, 1.4)
    net: Any = module.net
    whole = torch.from_numpy(np.stack([to_input(frame, contract) for frame in FRAMES]))
    part = net if output == "prototypes" else net.detector.backbone
    part.train()
    with torch.no_grad():
        for _ in range(6):
            part(module.normalise(whole))
        if output == "detections":
            heads = (net.detector.rpn.head.cls_logits, net.detector.rpn.head.bbox_pred)
            for head, factor in zip(heads, (60, 5), strict=True):
                head.weight.mul_(factor)
            net.detector.roi_heads.box_predictor.cls_score.weight.mul_(30)
            # a few objects tell as much as a hundred, which take seconds
            net.detector.rpn._post_nms_top_n["testing"], net.detector.roi_heads.detections_per_img = 50, 12
        else:
            for head in net.maps.heads:
                head.logits.weight.mul_(4)
                head.coefficients.weight.mul_(10)
                head.logits.bias.fill_(-2)
    return module.eval()


@dataclass(frozen=True)
class Exported:
    module: InstanceDeployable
    folder: Path


@pytest.fixture(scope="module", params=NETWORKS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    module = untrained(request.param, Selection((0.3,) * len(LABELS)))
    folder = tmp_path_factory.mktemp(request.param)
    export_onnx(module, folder / "model.onnx")
    save_ir(read_folded(folder / "model.onnx"), folder / "model.xml", contract_metadata(module, "float32"))
    return Exported(module, folder)


def rows(outputs: tuple[Any, ...], output: str) -> Iterator[Any]:
    """Return outputs whose order is that of scores in an order of places: engines may sort equal scores otherwise."""
    if output == "prototypes":
        yield from outputs
        return
    order = np.lexsort((*outputs[0].round(1).T, outputs[1]))
    yield from (values[order] for values in outputs)


@pytest.mark.parametrize(("file", "engine"), FILES)
def test_the_graph_gives_what_the_network_gives(exported: Exported, file: str, engine: str) -> None:
    original = TorchInstanceSegmenter(exported.module)
    segmenter = Segmenter.load(exported.folder / file, engine=engine)
    lane, output = segmenter.lane(), exported.module.contract.output
    objects = 0
    for frame in FRAMES:
        expected, found = original.outputs(frame), lane.infer(lane.preprocess(frame))
        assert len(expected[0]) > 10
        for name, mine, theirs in zip(OUTPUTS[output], rows(expected, output), rows(found, output), strict=True):
            assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype), name
            np.testing.assert_allclose(theirs, mine, atol=2e-3, err_msg=name)
        theirs = segmenter(frame)
        assert len(theirs.mask) == len(frame)
        objects += len(original(frame))
        assert len(original(frame)) == len(theirs)  # type: ignore[arg-type]
    assert objects > 10


def test_the_file_is_whole_valid_and_says_what_it_is(exported: Exported) -> None:
    loaded = onnx.load(exported.folder / "model.onnx", load_external_data=False)
    onnx.checker.check_model(loaded, full_check=True)
    metadata = {item.key: item.value for item in loaded.metadata_props}
    contract = exported.module.contract
    assert Contract.from_json(metadata[CONTRACT_KEY]) == contract
    assert metadata[PRECISION_KEY] == "float32"
    assert [item.name for item in loaded.graph.output] == list(OUTPUTS[contract.output])
    assert [item.domain for item in loaded.opset_import if item.domain] == []
    assert Segmenter.load(exported.folder / "model.xml").contract == contract


def test_a_picture_of_nothing_gives_no_object(tmp_path: Path) -> None:
    """Mask R-CNN's tables are then empty, and every engine must say so."""
    module = untrained("maskrcnn_mobilenet_v2_fpn", Selection((0.3,) * len(LABELS)))
    net: Any = module.net
    with torch.no_grad():
        net.detector.roi_heads.box_predictor.cls_score.bias[0] = 1000  # all is background
    export_onnx(module, tmp_path / "model.onnx")
    save_ir(read_folded(tmp_path / "model.onnx"), tmp_path / "model.xml", contract_metadata(module, "float32"))
    for file, engine in FILES:
        segmenter = Segmenter.load(tmp_path / file, engine=engine)
        lane = segmenter.lane()
        found: tuple[Any, ...] = lane.infer(lane.preprocess(FRAMES[0]))
        assert [values.shape for values in found] == [(0, 4), (0,), (0,), (0, 28, 28)], engine
        assert len(segmenter(FRAMES[0])) == 0  # type: ignore[arg-type]
    assert len(TorchInstanceSegmenter(module)(FRAMES[0])) == 0


class TestDynamicAxes:
    def test_a_batch_is_its_pictures(self, things: TrainedInstances, tmp_path: Path) -> None:
        path = tmp_path / "model.onnx"
        export_onnx(things.module, path, DynamicAxes(batch=True))
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        frames = np.stack([to_input(picture.image, things.module.contract) for picture in things.pictures[:3]])
        for together, *apart in zip(
            session.run(None, {"frames": frames}),
            *(session.run(None, {"frames": frame[None]}) for frame in frames),
            strict=True,
        ):
            np.testing.assert_allclose(together, np.concatenate(apart), atol=1e-3)
        assert len(Segmenter.load(path)(things.pictures[0].image)) > 0  # type: ignore[arg-type]

    def test_the_size_stays_fixed(self, things: TrainedInstances, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="depends on the input's size; leave it fixed"):
            export_onnx(things.module, tmp_path / "model.onnx", DynamicAxes(size=True))

    @pytest.mark.parametrize("axes", [DynamicAxes(batch=True), DynamicAxes(size=True)])
    def test_a_detector_takes_one_picture_of_one_size(self, axes: DynamicAxes, tmp_path: Path) -> None:
        module = untrained("maskrcnn_mobilenet_v2_fpn", Selection((0.3,) * len(LABELS)))
        with pytest.raises(ConfigError, match="gives detections takes one picture of one size"):
            export_onnx(module, tmp_path / "model.onnx", axes)
        assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(INSTANCE_MODELS))
def test_every_architecture_has_a_file_that_both_engines_run(name: str, tmp_path: Path) -> None:
    module = untrained(name, Selection((0.3,) * len(LABELS)))
    export_onnx(module, tmp_path / "model.onnx")
    expected = TorchInstanceSegmenter(module)(FRAMES[0])
    for engine in ("onnxruntime", "openvino"):
        found: Any = Segmenter.load(tmp_path / "model.onnx", engine=engine)(FRAMES[0])
        assert len(found) == len(expected) > 0
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)
