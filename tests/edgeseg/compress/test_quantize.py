"""Where fake quantisation goes, what range it starts from, and that training with it works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.optim.swa_utils import AveragedModel

from edgeseg.compress.quantize import calibrate, prepare_qat, rounded_graph
from edgeseg.data.procedural import ProceduralData, ProceduralSpec
from edgeseg.models import build
from edgeseg.models.blocks import ConvBnRelu, DepthwiseSeparable
from edgeseg_export.deployable import Deployable
from edgeseg_export.exact_grids import ExactConv2d
from edgeseg_export.fake_quantize import ActivationQuantizer, QuantConv2d
from edgeseg_runtime.contract import IMAGENET_MEAN, IMAGENET_STD, Contract, Label
from edgeseg_runtime.errors import CalibrationError, ConfigError
from edgeseg_runtime.preprocess import to_input, to_input_mask

ZOO = ("fast_scnn", "lraspp_mobilenet_v3_large", "unet")  # every other one: tests/edgeseg/models, slow

CONTRACT = Contract(labels=(Label("a", (0, 0, 0)), Label("b", (255, 0, 0))), height=64, width=96)
FLOAT_CONVOLUTIONS = {
    "fast_scnn": ["classifier.3"],
    "lraspp_mobilenet_v3_large": ["classifier.low_classifier", "classifier.high_classifier"],
    "unet": ["head"],
}


class EveryKind(nn.Module):
    """One of each kind of operation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvBnRelu(3, 8)
        self.linear = nn.Conv2d(8, 8, 1)
        self.swish = nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), nn.Hardswish(inplace=True))
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Hardsigmoid())
        self.side = nn.Conv2d(8, 4, 1)
        self.shrink = nn.MaxPool2d(2)
        self.mixed = nn.Sequential(nn.Conv2d(20, 8, 3, padding=1), nn.ReLU6(inplace=True), nn.Dropout(0.1))
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        stem = self.stem(image)
        summed = F.relu(stem + self.linear(stem), inplace=True)
        swish = self.swish(summed)
        gated = swish * self.gate(swish)
        side = F.interpolate(self.shrink(self.side(gated)), size=gated.shape[-2:], mode="bilinear")
        joined = torch.cat([gated, side, summed], dim=1)
        scores: Tensor = F.interpolate(self.head(self.mixed(joined)), scale_factor=2.0)
        return scores


class Net(nn.Module):
    """A network of one expression over the layers given to it."""

    def __init__(self, run: Callable[[Net, Tensor], Tensor], **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.head = nn.Conv2d(4, 2, 1)
        self.run = run

    def forward(self, image: Tensor) -> Tensor:
        scores: Tensor = self.head(self.run(self, image))
        return scores

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name)


def roundings(net: fx.GraphModule) -> dict[str, list[str]]:
    """Return, for each quantiser by its short name, the nodes whose output it rounds; each is rounded once."""
    modules = dict(net.named_modules())
    found: dict[str, list[str]] = {}
    for node in net.graph.nodes:
        if node.op == "call_module" and isinstance(modules[str(node.target)], ActivationQuantizer):
            source = node.args[0]
            assert isinstance(source, fx.Node)
            assert list(source.users) == [node], "all read the rounded tensor"
            found.setdefault(str(node.target).removeprefix("quantizers."), []).append(source.name)
    return found


def quantizers(net: nn.Module) -> dict[str, ActivationQuantizer]:
    return {
        name.removeprefix("quantizers."): module
        for name, module in net.named_modules()
        if isinstance(module, ActivationQuantizer)
    }


def convolutions(net: nn.Module, *, quantised: bool) -> list[str]:
    return [
        name
        for name, module in net.named_modules()
        if isinstance(module, nn.Conv2d) and isinstance(module, QuantConv2d) == quantised
    ]


def test_every_tensor_that_is_made_is_rounded_where_it_is_made() -> None:
    net = rounded_graph(EveryKind(), CONTRACT)
    assert roundings(net) == {
        "image": ["image"],
        "stem_2": ["stem_2"],  # after the ReLU, not before it
        "linear": ["linear"],  # nothing follows but a sum
        "swish_0": ["swish_0"],  # ONNX Runtime does not fuse the curve after it
        "swish_2": ["swish_2"],
        "gate_0": ["gate_0"],
        "gate_1": ["gate_1"],
        "gate_2": ["gate_2"],
        "side": ["side"],  # max-pooling keeps its values
        "cat": ["relu", "mul", "interpolate"],  # a sum with its ReLU, a product, a resize: one grid
        "mixed_1": ["mixed_1"],  # dropout keeps it; scores are not rounded
    }
    assert convolutions(net, quantised=False) == ["head"]
    assert convolutions(net, quantised=True) == ["stem.0", "linear", "swish.0", "gate.1", "side", "mixed.0"]
    assert [name for name, module in quantizers(net).items() if module.fixed] == ["image"]


def test_concatenations_that_have_a_tensor_in_common_share_one_grid() -> None:
    def run(net: Net, image: Tensor) -> Tensor:
        first, second, third, other = net.a(image), net.b(image), net.c(image), net.d(image)
        one = torch.cat([first, second], 1)
        two = torch.cat([net.drop(second), third], 1)
        nested = torch.cat([one, net.d2(two)], 1)
        return net.e(torch.cat([nested, two], 1)) + other  # type: ignore[no-any-return]

    layers = {name: nn.Conv2d(3, 4, 1) for name in "abcd"}
    net = Net(run, **layers, drop=nn.Dropout(0.1), d2=nn.Conv2d(8, 2, 1), e=nn.Conv2d(18, 4, 1))
    found = roundings(rounded_graph(net, CONTRACT))
    assert found == {"image": ["image"], "cat": ["a", "b", "c", "d2"], "d": ["d"], "e": ["e"], "add": ["add"]}


def test_a_rectifier_that_something_else_stands_before_is_rounded_on_its_own() -> None:
    def run(net: Net, image: Tensor) -> Tensor:
        first = net.a(image)
        return first + torch.relu(first)  # type: ignore[no-any-return]

    found = roundings(rounded_graph(Net(run, a=nn.Conv2d(3, 4, 1)), CONTRACT))
    assert found == {"image": ["image"], "a": ["a"], "relu": ["relu"], "add": ["add"]}


@pytest.mark.parametrize(
    ("layers", "run", "named"),
    [
        ({"up": nn.ConvTranspose2d(3, 4, 2)}, lambda net, image: net.up(image), r"'up' \(ConvTranspose2d\)"),
        ({"fc": nn.Linear(96, 96), "a": nn.Conv2d(3, 4, 1)}, lambda net, image: net.a(net.fc(image)), r"'fc' \(Linear"),
        (
            {"bn": nn.BatchNorm2d(3), "a": nn.Conv2d(3, 4, 1)},
            lambda net, image: net.a(net.bn(image)),
            "'bn' .BatchNorm",
        ),
        ({"a": nn.Conv2d(3, 4, 1)}, lambda net, image: torch.exp(net.a(image)), "'exp'"),
        ({"a": nn.Conv2d(3, 4, 1)}, lambda net, image: net.a(image)[:, :, ::2], "'getitem'"),
        ({"a": nn.Conv2d(3, 4, 1)}, lambda net, image: net.a(image).softmax(1), "'softmax'"),
        ({"a": nn.Conv2d(3, 4, 1)}, lambda net, image: net.a(image) * net.head.bias[0], "'head.bias'"),
        ({"a": nn.Conv2d(3, 1, 1)}, lambda net, image: torch.cat([net.a(image), image], 1), "'cat'.*input"),
        ({"a": nn.Conv2d(3, 4, 1)}, lambda net, image: net.a(image) if image.sum() > 0 else image, "forward"),
    ],
)
def test_what_cannot_be_quantised_is_named(
    layers: dict[str, nn.Module], run: Callable[[Net, Tensor], Tensor], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        prepare_qat(Net(run, **layers), CONTRACT)


class TwoHeads(nn.Module):
    """A second way to the output that goes on from the scores."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.between, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.first(image)
        return scores, self.second(self.between(scores))


def test_a_rounded_convolution_may_not_read_scores() -> None:
    with pytest.raises(ConfigError, match=r"'between'.*scores"):
        prepare_qat(TwoHeads(), CONTRACT)


def test_frames_of_a_gray_mean_are_the_first_int8_tensor_as_they_are() -> None:
    net = prepare_qat(EveryKind(), CONTRACT)
    scale, zero_point = quantizers(net)["image"].grid()
    assert int(zero_point) == 128 and float(scale) == pytest.approx(1 / (255 * 0.25), rel=1e-6)
    frames = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(-1, -1, -1, 3)
    normalised = Deployable(net, CONTRACT).normalise(frames)
    torch.testing.assert_close(quantizers(net)["image"](normalised), normalised, rtol=0, atol=1e-6)


def test_the_inputs_range_holds_every_pixel_value() -> None:
    contract = replace(CONTRACT, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    net = prepare_qat(EveryKind(), contract)
    ends = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 2, 1).expand(-1, -1, -1, 3)
    normalised = Deployable(net, contract).normalise(ends)
    scale, _ = quantizers(net)["image"].grid()
    error = (quantizers(net)["image"](normalised) - normalised).abs().max()
    assert float(error) <= float(scale) * 1.001  # half a step, and half a step of the zero point


@pytest.fixture(params=ZOO, scope="module")
def zoo(request: pytest.FixtureRequest) -> tuple[str, nn.Module, fx.GraphModule]:
    """Name, float network and its calibrated twin for training."""
    torch.manual_seed(0)
    net, images = build(request.param, 2, CONTRACT.size), torch.randn(4, 3, *CONTRACT.size).clamp(-2, 1.9)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1  # takes the statistics of one batch: without any, nothing is left after some layers
    net.train()(images)
    quantised = rounded_graph(net.eval(), CONTRACT)
    calibrate(quantised, [images])
    return request.param, net, quantised


def test_the_zoo_is_quantised_but_for_its_scores(zoo: tuple[str, nn.Module, fx.GraphModule]) -> None:
    name, net, quantised = zoo
    assert convolutions(quantised, quantised=False) == FLOAT_CONVOLUTIONS[name]
    assert len(convolutions(quantised, quantised=True)) == len(convolutions(net, quantised=False)) - len(
        FLOAT_CONVOLUTIONS[name]
    )
    assert roundings(quantised).keys() == quantizers(quantised).keys()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in quantised.modules())


def test_without_rounding_the_zoo_computes_as_in_float(
    zoo: tuple[str, nn.Module, fx.GraphModule], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, net, quantised = zoo
    unrounded = deepcopy(quantised).eval()
    monkeypatch.setattr(QuantConv2d, "rounded_weight", lambda conv: conv.weight)
    monkeypatch.setattr(ExactConv2d, "rounded_bias", lambda conv: conv.bias)
    for quantizer in quantizers(unrounded).values():
        quantizer.observer = lambda _: None
    for size in ((64, 96), (90, 70)):
        image = torch.randn(3, 3, *size)
        with torch.no_grad():
            expected = net(image)
            torch.testing.assert_close(unrounded(image), expected, rtol=1e-3, atol=1e-3 * float(expected.std()))


def _count_values(seen: dict[str, int], name: str, _module: nn.Module, _inputs: object, output: Tensor) -> None:
    seen[name] = len(torch.unique(output))


def test_the_zoo_rounds(zoo: tuple[str, nn.Module, fx.GraphModule]) -> None:
    _, net, quantised = zoo
    image = torch.randn(1, 3, 64, 96)
    seen: dict[str, int] = {}
    twin = deepcopy(quantised).eval()
    for name, quantizer in quantizers(twin).items():
        quantizer.register_forward_hook(partial(_count_values, seen, name))
    with torch.no_grad():
        assert not torch.equal(twin(image), net(image))
    assert seen.keys() == quantizers(twin).keys()
    assert all(1 < levels <= 256 for levels in seen.values())


def test_the_zoo_learns_everywhere(zoo: tuple[str, nn.Module, fx.GraphModule]) -> None:
    torch.manual_seed(0)
    net = deepcopy(zoo[2]).train().to(memory_format=torch.channels_last)
    image = torch.randn(2, 3, 64, 96).to(memory_format=torch.channels_last)
    (net(image) - torch.randn(1, 2, 1, 1)).square().mean().backward()
    learnt = {name: value for name, value in net.named_parameters() if value.requires_grad}
    assert all(value.grad is not None and value.grad.isfinite().all() for value in learnt.values())
    assert all(value.grad is not None and value.grad.any() for name, value in learnt.items() if value.ndim > 1)
    fixed = [name for name, value in net.named_parameters() if not value.requires_grad]
    assert fixed == ["quantizers.image.low", "quantizers.image.high"]


def test_a_fresh_network_takes_over_the_state(zoo: tuple[str, nn.Module, fx.GraphModule]) -> None:
    name, _, quantised = zoo
    fresh = prepare_qat(build(name, 2, CONTRACT.size).eval(), CONTRACT)
    fresh.load_state_dict(quantised.state_dict())
    copied = AveragedModel(quantised, use_buffers=True)
    copied.update_parameters(quantised)
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = quantised.eval()(image)
        assert torch.equal(fresh(image), expected)
        assert torch.equal(copied.eval()(image), expected)


def test_the_original_stays_as_it_is() -> None:
    net = EveryKind().train()
    before = deepcopy(net.state_dict())
    prepare_qat(net, CONTRACT)
    assert net.swish[2].inplace and net.training
    assert before.keys() == net.state_dict().keys()
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


class Wide(nn.Module):
    """Passes one channel on as it is and another ten times as large, and concatenates them."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.ten = nn.Conv2d(1, 1, 1, bias=False), nn.Conv2d(1, 1, 1, bias=False)
        self.head = nn.Conv2d(2, 2, 1)
        with torch.no_grad():
            self.one.weight.fill_(1)
            self.ten.weight.fill_(10)

    def forward(self, image: Tensor) -> Tensor:
        scores: Tensor = self.head(torch.cat([self.one(image), F.relu(self.ten(image))], 1))
        return scores


def pictures(count: int) -> Tensor:
    """Return pictures of 20 000 values, all but the lowest and the highest in -1..1."""
    values = torch.linspace(-1, 1, 20_000).repeat(count, 1)
    values[:, 0], values[:, -1] = -50, 50  # which the range of the input cuts to -2 and 2
    return values.reshape(count, 1, 100, 200)


def test_ranges_cut_off_the_rarest_values_and_cover_all_that_share_them() -> None:
    net = prepare_qat(Wide(), CONTRACT)
    calibrate(net, [pictures(2)])
    shared = quantizers(net)["cat"]
    # to half a step of the rounded input and a histogram's bin, 1/2048 of what lies between the extremes
    assert shared.low.item() == pytest.approx(-1, abs=0.5 / 63.75 + 4 / 2048)
    assert shared.high.item() == pytest.approx(10, abs=5 / 63.75 + 20 / 2048)


def test_ranges_are_the_mean_over_pictures_in_batches_of_any_size() -> None:
    values = torch.cat([pictures(1) / 4, pictures(1) / 2, pictures(2)])
    ranges = []
    for size in (1, 2, 4):
        net = prepare_qat(Wide(), CONTRACT)
        calibrate(net, torch.split(values, size))
        ranges.append((quantizers(net)["cat"].low.item(), quantizers(net)["cat"].high.item()))
    assert ranges[1] == pytest.approx(ranges[0], rel=1e-6)
    assert ranges[2] == pytest.approx(ranges[0], rel=1e-6)
    assert ranges[0][0] == pytest.approx(-(1 / 4 + 1 / 2 + 1 + 1) / 4, abs=0.01)


def test_calibration_leaves_the_mode_and_the_input_alone() -> None:
    net = prepare_qat(EveryKind(), CONTRACT).train()
    before = quantizers(net)["image"].grid()
    calibrate(net, [torch.randn(2, 3, 32, 32)])
    assert net.training and all(module.training for module in net.modules())
    assert quantizers(net)["image"].grid() == before
    assert all(module.observer is None for module in quantizers(net).values())
    assert all(module.low.item() <= 0 <= module.high.item() for module in quantizers(net).values())
    assert quantizers(net)["stem_2"].low.item() == 0


def test_calibration_without_pictures_or_with_broken_ones_says_so() -> None:
    net = prepare_qat(EveryKind(), CONTRACT)
    with pytest.raises(CalibrationError, match="no pictures"):
        calibrate(net, [])
    with pytest.raises(CalibrationError, match="not finite"):
        calibrate(net, [torch.randn(1, 3, 32, 32), torch.full((1, 3, 32, 32), float("nan"))])

    def stop() -> Iterator[Tensor]:
        yield torch.randn(1, 3, 32, 32)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        calibrate(net, stop())
    assert all(module.observer is None for module in quantizers(net).values())


@pytest.fixture(scope="module")
def learnt() -> tuple[Deployable, Tensor, Tensor]:
    """A small network that has learnt the built-in scenes, their normalised pictures and their masks."""
    data = ProceduralData(ProceduralSpec(height=48, width=64, n=64, seed=7), "train")
    contract = Contract(labels=data.labels, height=48, width=64)
    samples = [data.read(index) for index in range(len(data))]
    frames = torch.stack([torch.from_numpy(to_input(sample.image, contract)) for sample in samples])
    masks = torch.stack([torch.from_numpy(to_input_mask(sample.mask, contract)) for sample in samples]).long()
    torch.manual_seed(0)
    blocks = [ConvBnRelu(3, 16, 3, 2), DepthwiseSeparable(16, 32), DepthwiseSeparable(32, 32)]
    module = Deployable(nn.Sequential(*blocks, nn.Conv2d(32, len(data.labels), 1)), contract)
    images = module.normalise(frames)
    train(module.net, images, masks, 120, 0.01)
    return module, images, masks


def train(net: nn.Module, images: Tensor, masks: Tensor, steps: int, lr: float) -> list[float]:
    """Do steps of Adam on batches of 16; return the loss of each."""
    optimiser = torch.optim.Adam([value for value in net.parameters() if value.requires_grad], lr)
    generator, losses = torch.Generator().manual_seed(0), []
    net.train()
    for _ in range(steps):
        batch = torch.randint(len(images), (16,), generator=generator)
        losses.append(loss := _loss(net, images[batch], masks[batch]))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    net.eval()
    return [loss.item() for loss in losses]


def _loss(net: nn.Module, images: Tensor, masks: Tensor) -> Tensor:
    scores = F.interpolate(net(images), size=masks.shape[1:], mode="bilinear")
    return F.cross_entropy(scores, masks, ignore_index=255)


def agreement(one: nn.Module, other: nn.Module, images: Tensor) -> float:
    with torch.no_grad():
        return float((one(images).argmax(1) == other(images).argmax(1)).float().mean())


def test_a_calibrated_network_nearly_agrees_with_the_float_one(learnt: tuple[Deployable, Tensor, Tensor]) -> None:
    module, images, _ = learnt
    net = prepare_qat(module.net, module.contract)
    placeholder = agreement(net, module.net, images)
    calibrate(net, torch.split(images, 16))
    assert agreement(net, module.net, images) > max(0.98, placeholder)


def test_training_mends_what_bad_ranges_break(learnt: tuple[Deployable, Tensor, Tensor]) -> None:
    module, images, masks = learnt
    net = prepare_qat(module.net, module.contract)
    calibrate(net, torch.split(images, 16))
    learnable = {name: module for name, module in quantizers(net).items() if not module.fixed}
    with torch.no_grad():
        for quantizer in learnable.values():
            quantizer.high.mul_(0.2)
        before = _loss(net, images, masks).item()
    ranges = {name: quantizer.high.item() for name, quantizer in learnable.items()}
    train(net, images, masks, 30, 0.003)
    with torch.no_grad():
        after = _loss(net, images, masks).item()
    assert after < 0.8 * before
    assert all(quantizer.high.item() != ranges[name] for name, quantizer in learnable.items())
    assert sum(quantizer.high.item() > ranges[name] for name, quantizer in learnable.items()) > len(learnable) / 2
