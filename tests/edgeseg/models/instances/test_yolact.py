from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import openvino
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision.ops import batched_nms

from edgeseg.compress.fold import fold_batch_norm
from edgeseg.compress.pruning import prune
from edgeseg.compress.quantize import calibrate, prepare_qat
from edgeseg.models.cost import instance_cost
from edgeseg.models.instances.cells import make_cells
from edgeseg.models.instances.outputs import PrototypeOutput
from edgeseg.models.instances.registry import build_instance, instance_spec
from edgeseg.models.instances.yolact import FIRST_DISTANCE, PRIOR, Yolact
from edgeseg.training.instances.losses import prototype_losses
from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.errors import ConfigError

NAMES = ("yolact_mobilenet_v2", "yolact_shufflenet_v2_x0_5", "yolact_bricknet_s", "yolact_bricknet_m")
SIZE = (64, 96)


def make(name: str = NAMES[1], classes: int = 2) -> Yolact:
    torch.manual_seed(0)
    net = build_instance(name, classes, SIZE)
    assert isinstance(net, Yolact)
    return net


class _Fixed(nn.Module):
    """Says of every cell what its place in the row of candidates is."""

    def __init__(self, distances: Tensor) -> None:
        super().__init__()
        self.distances = distances

    def forward(self, image: Tensor) -> object:  # noqa: ARG002 - takes its place
        levels, first = [], 0
        for rows, columns in ((8, 12), (4, 6), (2, 3)):
            cells = torch.arange(first, first + rows * columns, dtype=torch.float32)
            first += rows * columns
            plane = cells.reshape(1, 1, rows, columns)
            levels.append((plane, self.distances.reshape(1, 4, 1, 1).expand(1, 4, rows, columns), plane))
        return torch.arange(2 * 16 * 24).reshape(1, 2, 16, 24), levels


def test_boxes_reach_from_their_cells_and_all_parts_are_in_one_order() -> None:
    net = make()
    net.maps = _Fixed(torch.tensor([1.0, 0.5, -3.0, 2.0]))  # type: ignore[assignment]
    found, cells = net(torch.zeros(1, 3, *SIZE)), make_cells(SIZE)
    x, y = cells.centres.T
    expected = torch.stack([x - cells.strides, y - cells.strides / 2, x, y + 2 * cells.strides], dim=1)
    assert torch.equal(found.boxes[0], expected)
    order = torch.arange(len(expected), dtype=torch.float32)[None, :, None]
    assert torch.equal(found.logits, order) and torch.equal(found.coefficients, order)
    assert torch.equal(found.prototypes, torch.arange(2 * 16 * 24).reshape(1, 2, 16, 24))


@pytest.mark.parametrize("name", NAMES)
def test_before_training_nothing_is_likely_and_boxes_are_some_cells_wide(name: str) -> None:
    with torch.no_grad():
        found = make(name).train()(torch.randn(2, 3, *SIZE))
    assert float(found.logits.sigmoid().mean()) == pytest.approx(PRIOR, rel=0.5)
    wide = (found.boxes[..., 2] - found.boxes[..., 0]) / make_cells(SIZE).strides
    assert float(wide.mean()) == pytest.approx(2 * FIRST_DISTANCE, rel=0.25)
    assert (wide >= 0).all()


@settings(deadline=None, max_examples=15)
@given(st.integers(64, 150), st.integers(64, 150))
def test_a_row_of_candidates_fits_the_cells_of_every_size(height: int, width: int) -> None:
    net = make().eval()
    with torch.no_grad():
        found = net(torch.zeros(1, 3, height, width))
    assert found.boxes.shape[1] == len(make_cells((height, width)).centres)
    assert found.prototypes.shape[2:] == (-(-height // 4), -(-width // 4))


@pytest.mark.parametrize(
    ("name", "least", "most"), list(zip(NAMES, (4e9, 1e9, 3.5e9, 6e9), (5e9, 1.5e9, 4.5e9, 8e9), strict=True))
)
def test_it_is_cheap(name: str, least: float, most: float) -> None:
    assert least < instance_cost(name, 80, (640, 640)).macs < most


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_file_of_any_size_gives_its_candidates(engine: str, tmp_path: Path) -> None:
    net, path, free = make("yolact_bricknet_s").eval(), tmp_path / "model.onnx", torch.export.Dim.AUTO
    shapes = {"image": {0: free, 2: free, 3: free}}
    example = torch.zeros(2, 3, *SIZE)
    torch.onnx.export(net, (example,), path, dynamo=True, dynamic_shapes=shapes, external_data=False, verbose=False)
    for count, size in ((1, SIZE), (2, (96, 64)), (1, (128, 192))):
        images = torch.randn(count, 3, *size)
        with torch.no_grad():
            expected = net(images)
        for mine, its in zip(run_onnx(engine, path, images.numpy()), expected, strict=True):
            assert np.allclose(mine, its.numpy(), atol=1e-3)


def run_onnx(engine: str, path: Path, images: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    """Return the outputs of a file in an engine itself, without the runtime's code."""
    if engine == "onnxruntime":
        session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        return [np.asarray(part) for part in session.run(None, {session.get_inputs()[0].name: images})]
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled(images)
    return [np.asarray(found[output]) for output in compiled.outputs]


@pytest.mark.parametrize("name", NAMES)
def test_its_maps_fold_and_learn_for_int8(name: str) -> None:
    net = make(name).eval()
    image = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        expected = net(image)
    net.maps = fold_batch_norm(net.maps)  # type: ignore[assignment]
    assert not any(isinstance(part, nn.BatchNorm2d) for part in net.modules())
    with torch.no_grad():
        assert all(torch.allclose(mine, its, atol=1e-4) for mine, its in zip(net(image), expected, strict=True))
    net = make(name).eval()
    net.maps = prepare_qat(net.maps, Contract((Label("thing", (1, 2, 3)),), *SIZE))  # type: ignore[assignment]
    calibrate(net.maps, [image])
    with torch.no_grad():
        rounded = net(image)
    signal = expected.prototypes.var()
    assert 0 < float((rounded.prototypes - expected.prototypes).var() / signal) < 0.02
    assert float((rounded.boxes - expected.boxes).abs().mean()) < 1


@pytest.mark.parametrize("name", NAMES[:3])
def test_its_maps_can_be_pruned(name: str) -> None:
    net = make(name).eval()
    report = prune(net.maps, SIZE, 0.3)
    assert report.macs_share < 0.9
    with torch.no_grad():
        found = net(torch.zeros(1, 3, *SIZE))
    assert found.logits.shape[2] == 2 and found.boxes.shape[2] == 4 and found.prototypes.shape[1] == 32


@pytest.mark.parametrize("name", NAMES)
def test_only_trunks_of_torchvision_have_imagenet_weights(name: str) -> None:
    assert instance_spec(name).pretrained == ("bricknet" not in name)
    if "bricknet" in name:
        with pytest.raises(ConfigError, match=f"{name} has no ImageNet weights; train it with --weights none"):
            build_instance(name, 2, SIZE, "imagenet")


def squares() -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Return four pictures, of two rectangles each but the last, and the truth about them."""
    images, targets = torch.zeros(4, 3, *SIZE), []
    colors = torch.tensor([[-1.0, 1.0, 0.5], [1.0, -1.0, 0.5]])
    for index, image in enumerate(images):
        boxes = [] if index == 3 else [(4 + 5 * index, 6, 26 + 5 * index, 36), (50, 20 + 4 * index, 80, 40 + 4 * index)]
        labels = [(place + index) % 2 for place in range(len(boxes))]
        masks = np.zeros((len(boxes), *SIZE), np.uint8)
        for mask, (left, top, right, bottom), label in zip(masks, boxes, labels, strict=True):
            mask[top:bottom, left:right] = 1
            image[:, top:bottom, left:right] = colors[label].reshape(3, 1, 1)
        targets.append(
            {
                "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
                "labels": torch.tensor(labels, dtype=torch.int64),
                "masks": torch.from_numpy(masks),
                "crowd": torch.zeros(len(boxes), dtype=torch.bool),
            }
        )
    return images, targets


def decode(found: PrototypeOutput, index: int) -> list[tuple[int, Tensor]]:
    """Return class and bool mask of each object that is found in a picture, without the runtime's code."""
    scores, labels = found.logits[index].sigmoid().max(dim=1)
    boxes = found.boxes[index]
    kept = batched_nms(boxes, scores, labels, 0.6)
    y, x = (torch.arange(length) + 0.5 for length in SIZE)
    objects = []
    for candidate in kept[scores[kept] > 0.4].tolist():
        small = torch.einsum("p,phw->hw", found.coefficients[index, candidate], found.prototypes[index])
        full = nn.functional.interpolate(small[None, None], size=SIZE, mode="bilinear")[0, 0] > 0
        left, top, right, bottom = boxes[candidate]
        inside = ((y > top) & (y < bottom))[:, None] & ((x > left) & (x < right))
        objects.append((int(labels[candidate]), full & inside))
    return objects


def test_it_learns_to_tell_rectangles_apart() -> None:
    images, targets = squares()
    net = make().train()
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 0.3
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    for _ in range(40):
        loss = torch.stack(list(prototype_losses(net(images), targets, SIZE).values())).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        found = net.eval()(images)
    for index, target in enumerate(targets):
        objects = decode(found, index)
        assert len(objects) == len(target["labels"])
        for label, truth in zip(target["labels"].tolist(), target["masks"].bool(), strict=True):
            overlaps = [int((mask & truth).sum()) / int((mask | truth).sum()) for its, mask in objects if its == label]
            assert max(overlaps, default=0) > 0.7
