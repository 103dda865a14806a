"""What holds for every architecture. `-k NAME` runs one; `-m slow` exports, quantises and prunes it too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.compress.channels import channel_plan, resize_channels
from edgeseg.compress.pruning import PruneOptions, highest_ratio, prune, rank
from edgeseg.compress.quantize import calibrate, prepare_qat
from edgeseg.data.procedural import ProceduralData, ProceduralSpec
from edgeseg.models import MODELS, build
from edgeseg.models.auxiliary import auxiliaries, auxiliary_heads, tapped
from edgeseg.models.cost import Cost, count_macs, count_parameters, model_cost
from edgeseg_export.artifact import Artifact
from edgeseg_export.artifacts import Calibration, Wanted, build_artifacts
from edgeseg_export.calibration import Audit
from edgeseg_export.deployable import Deployable, TorchSegmenter
from edgeseg_export.onnx_file import DynamicAxes, export_onnx
from edgeseg_export.quantized_onnx import build_quantized
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.preprocess import to_input, to_input_mask
from edgeseg_runtime.segmenter import Segmenter


@dataclass(frozen=True)
class Difference:
    """Why a figure is not the published one."""

    parameters: float
    """Ours over theirs."""
    gmacs: float | None
    reason: str


DIFFERENCES = {
    "bisenetv2": Difference(1, 1.163, "the paper does not say how wide its head is; see test_bisenetv2.py"),
    "fast_scnn": Difference(1.025, None, "the paper leaves out those of normalisation: 1.114 M without"),
}
"""Of architectures whose cost is more than 2 % off what was published."""
COMPOSED = {
    "bricknet_t": "our own",
    "bricknet_s": "our own",
    "bricknet_m": "our own",
    "deeplabv3plus_mobilenet_v2": "the paper has no MobileNetV2",
    "pp_liteseg_t": "the paper gives none; see test_pp_liteseg.py",
    "pp_liteseg_b": "the paper gives none; see test_pp_liteseg.py",
    "pspnet_mobilenet_v2": "the paper has no MobileNetV2",
    "unet": "a decoder of our own on a published trunk",
    "unet_efficientnet_lite0": "as unet",
    "unet_mobilenet_v4_conv_small": "as unet",
    "unet_resnet18": "as unet",
    "unet_resnet34": "as unet",
    "unet_shufflenet_v2_x0_5": "as unet",
}
"""Architectures of which nobody has published a cost. Their trunks' are compared in test_encoders.py."""
NOT_FOR_QAT = {"segformer_b0": "permute", "segnet_unpooling": r"encoder\.6.*MaxPool2d"}
"""What the error says of those that a tool does not take."""

DATA = ProceduralData(ProceduralSpec(height=96, width=128, n=64, seed=3), "train")
CONTRACT = Contract(DATA.labels, 96, 128)


@pytest.fixture(scope="module", params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def net(name: str) -> nn.Module:
    """The network as it is built; leave it as it is."""
    torch.manual_seed(0)
    return build(name, 3, (64, 64))


@pytest.fixture(scope="module")
def trained(name: str) -> Deployable:
    """A network that has learnt for some seconds; leave it as it is."""
    return learn(name)


class ArchitectureTests:
    """What holds for an architecture, named by the fixture `name`, which a subclass may give itself."""

    def test_it_costs_what_was_published_or_the_difference_is_explained(self, name: str) -> None:
        published = MODELS[name].published
        if published is None:
            assert name in COMPOSED
            return
        cost = model_cost(name, published.classes, published.size)
        if published.with_heads:
            cost = with_heads(name, cost, published.classes, published.size)
        expected = DIFFERENCES.get(name, Difference(1, 1, ""))
        assert cost.parameters / (1e6 * published.parameters) == pytest.approx(expected.parameters, rel=0.02)
        if published.gmacs is not None:
            assert cost.macs / (1e9 * published.gmacs) == pytest.approx(expected.gmacs, rel=0.02)

    def test_scores_have_one_stride_at_every_size(self, name: str, net: nn.Module) -> None:
        least = MODELS[name].minimum
        stride: int | None = None
        with evaluating(net):
            for height, width in ((64, 96), (least, least + 1), (least + 5, least + 34)):
                with torch.no_grad():
                    scores = net(torch.zeros(1, 3, height, width))
                stride = stride or 64 // scores.shape[2]
                assert scores.shape == (1, 3, -(-height // stride), -(-width // stride))

    def test_it_learns_one_batch(self, name: str, net: nn.Module) -> None:
        torch.manual_seed(0)
        before = {key: value.clone() for key, value in net.state_dict().items()}
        least = MODELS[name].minimum
        images, targets = torch.randn(4, 3, least, least), torch.randint(3, (4, 2, 2))
        targets = targets.repeat_interleave(least // 2, 1).repeat_interleave(least // 2, 2)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
        losses = []
        net.train()
        for _ in range(4):
            scores = F.interpolate(net(images), size=(least, least), mode="bilinear")
            loss = F.cross_entropy(scores, targets)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(float(loss.detach()))
        idle = [key for key, value in net.named_parameters() if value.grad is None]
        net.load_state_dict(before)
        assert idle == []
        assert min(losses[1:]) < losses[0]

    def test_another_instance_takes_over_its_weights(self, name: str, net: nn.Module) -> None:
        with torch.device("meta"):
            other = build(name, 3, (64, 64))
        other.load_state_dict(net.state_dict(), assign=True)
        image = torch.randn(1, 3, 64, 64)
        with evaluating(net), evaluating(other), torch.no_grad():
            assert torch.equal(other(image), net(image))

    def test_auxiliary_heads_see_its_features_and_are_no_part_of_it(self, net: nn.Module) -> None:
        declared, names = auxiliaries(net), list(net.state_dict())
        heads = auxiliary_heads(net, 3, (64, 64))
        assert len(heads) == len(declared) and list(net.state_dict()) == names
        with evaluating(net), torch.no_grad(), tapped(net, [one.tap for one in declared]) as seen:
            net(torch.randn(1, 3, 64, 64))
        for one, head in zip(declared, heads, strict=True):
            assert head.eval()(seen[one.tap]).shape[1] == (3 if one.kind == "classes" else 1)

    @pytest.mark.slow
    @pytest.mark.timeout(1800)
    def test_its_files_draw_its_masks(self, trained: Deployable, tmp_path: Path) -> None:
        pictures = [DATA.read(index).image for index in range(16)]
        calibration = Calibration("", 0, tuple(map(str, range(16))), pictures, Audit(16, 0.0, ()))
        for artifact in build_artifacts(trained, tmp_path, Wanted(calibration)):
            least = 0.999 if artifact.precision == "float32" else 0.9
            assert agreement(trained, artifact) >= least, artifact.name

    @pytest.mark.slow
    def test_a_file_of_any_size_gives_its_scores(self, trained: Deployable, tmp_path: Path) -> None:
        path = tmp_path / "model.onnx"
        export_onnx(trained, path, DynamicAxes(batch=True, size=True))
        assert agreement(trained, Artifact("dynamic", path, "float32")) >= 0.999

    @pytest.mark.slow
    def test_trained_for_int8_both_engines_draw_its_masks(self, name: str, trained: Deployable, tmp_path: Path) -> None:
        if name in NOT_FOR_QAT:
            with pytest.raises(ConfigError, match=NOT_FOR_QAT[name]):
                prepare_qat(trained.net, CONTRACT)
            return
        prepared = prepare_qat(trained.net, CONTRACT)
        calibrate(prepared, torch.split(images_and_masks()[0][:16], 8))
        module = Deployable(prepared, CONTRACT).eval()
        for artifact in build_quantized(module, tmp_path):
            assert agreement(module, artifact) >= 0.999, artifact.name

    @pytest.mark.slow
    def test_pruned_it_is_smaller_and_its_files_draw_its_masks(
        self, name: str, trained: Deployable, tmp_path: Path
    ) -> None:
        net = build(name, len(CONTRACT.labels), CONTRACT.size).eval()
        net.load_state_dict(trained.net.state_dict())
        report = prune(net, CONTRACT.size, 0.3)
        assert report.macs_share < 0.95 and report.parameters[1] < 0.9 * report.parameters[0]
        again = build(name, len(CONTRACT.labels), CONTRACT.size).eval()
        resize_channels(again, channel_plan(net))
        again.load_state_dict(net.state_dict())
        module = Deployable(again, CONTRACT)
        for artifact in build_artifacts(module, tmp_path, Wanted()):
            if artifact.precision == "float32":
                assert agreement(module, artifact) >= 0.999, artifact.name

    @pytest.mark.slow
    def test_as_narrow_as_it_may_be_it_still_runs(self, name: str) -> None:
        net = build(name, 5, (64, 64)).eval()
        options = PruneOptions()
        report = prune(net, (64, 64), highest_ratio(rank(net, (64, 64), options), options), options)
        assert min(after for _, after in report.widths.values()) >= 1
        assert net(torch.randn(1, 3, 64, 64)).isfinite().all()


class TestRegistered(ArchitectureTests):
    """Every architecture there is."""


class evaluating:  # noqa: N801 - a context manager
    """Put a network in evaluation mode, and back."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net

    def __enter__(self) -> None:
        self.net.eval()

    def __exit__(self, *_: object) -> None:
        self.net.train()


def with_heads(name: str, cost: Cost, classes: int, size: tuple[int, int]) -> Cost:
    """Return the cost of a network and its auxiliary heads, where each reads."""
    with torch.device("meta"):
        net = build(name, classes, size)
        heads = auxiliary_heads(net, classes, size)
    parameters, macs = cost.parameters, cost.macs
    with evaluating(net), tapped(net, [one.tap for one in auxiliaries(net)]) as seen:
        net(torch.zeros(1, 3, *size, device="meta"))
    for one, head in zip(auxiliaries(net), heads, strict=True):
        width, shape = seen[one.tap].shape[1], seen[one.tap].shape[-2:]
        parameters += count_parameters(head)
        macs += (9 * width * one.hidden + one.hidden * classes) * shape[0] * shape[1]
    return Cost(parameters, macs)


def images_and_masks() -> tuple[Tensor, Tensor]:
    """Return normalised pictures and their masks."""
    samples = [DATA.read(index) for index in range(48)]
    frames = torch.from_numpy(np.stack([to_input(sample.image, CONTRACT) for sample in samples]))
    masks = torch.from_numpy(np.stack([to_input_mask(sample.mask, CONTRACT) for sample in samples])).long()
    return Deployable(nn.Conv2d(3, 3, 1), CONTRACT).normalise(frames), masks


def learn(name: str, steps: int = 20) -> Deployable:
    """Train shortly: not a good network, but one whose masks have several classes."""
    torch.manual_seed(0)
    net = build(name, len(CONTRACT.labels), CONTRACT.size).train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.3
    images, masks = images_and_masks()
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    for step in range(steps):
        batch = torch.arange(6 * step, 6 * step + 6) % len(images)
        scores = F.interpolate(net(images[batch]), size=CONTRACT.size, mode="bilinear")
        optimizer.zero_grad()
        F.cross_entropy(scores, masks[batch], ignore_index=255).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return Deployable(net.eval(), CONTRACT)


def agreement(module: Deployable, artifact: Artifact) -> float:
    """Return the share of pixels on which a file's masks are the module's; with ONNX files, in both engines."""
    original = TorchSegmenter(module)
    frames = [DATA.read(index).image for index in range(40, 48)]
    expected = np.stack([original(frame) for frame in frames])
    assert len(np.unique(expected)) > 1
    engines = ["openvino"] if artifact.file.suffix == ".xml" else ["onnxruntime", "openvino"]
    shares = []
    for engine in engines if artifact.precision == "float32" else [None]:
        segmenter = Segmenter.load(artifact.file) if engine is None else Segmenter.load(artifact.file, engine=engine)
        shares.append(float(np.mean(np.stack([segmenter(frame).mask for frame in frames]) == expected)))
    return min(shares)


def test_the_tables_name_architectures_that_there_are() -> None:
    named: Iterator[str] = (name for table in (DIFFERENCES, COMPOSED, NOT_FOR_QAT) for name in table)
    assert set(named) <= set(MODELS)
    assert not any(MODELS[name].published for name in COMPOSED)


def test_multiply_accumulates_by_hand() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.Conv2d(8, 5, 1))
    assert count_macs(net, (16, 24)) == 8 * 12 * (8 * 3 * 9 + 8 * 9 + 5 * 8)
    assert count_parameters(net) == (8 * 27 + 8) + (8 * 9 + 8) + (40 + 5)
    assert net.training and next(net.parameters()).device.type == "cpu"


def test_attention_is_counted() -> None:
    class Attends(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            tokens = image.flatten(2).transpose(1, 2)  # (1, 24, 3)
            return F.scaled_dot_product_attention(tokens[None], tokens[None], tokens[None])

    assert count_macs(nn.Sequential(Attends()), (4, 6)) == 2 * 24 * 24 * 3
