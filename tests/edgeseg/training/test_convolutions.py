"""Gradients against those of PyTorch's own code for float64, which oneDNN has no part in."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from edgeseg.config import DataConfig, ModelConfig, OptimConfig, TrainConfig
from edgeseg.data.open import open_data
from edgeseg.models.registry import build
from edgeseg.training.convolutions import MendedConv2d, mend_convolutions
from edgeseg.training.loop import assemble, make_fabric
from edgeseg.training.semantic import SemanticTask
from edgeseg.training.start import resolve


class Gradients(NamedTuple):
    output: Tensor
    of_values: Tensor | None
    of_weight: Tensor
    of_bias: Tensor | None


def mended(conv: nn.Conv2d) -> nn.Conv2d:
    """Return a copy that learns by the module's gradients."""
    copied = copy.deepcopy(conv)
    mend_convolutions(copied)
    assert type(copied) is MendedConv2d
    return copied


def gradients(conv: nn.Conv2d, values: Tensor, *, autocast: bool = False) -> Gradients:
    """Return what a weighted sum of the output, the weights as coarse as bf16, is worth to everything learnt."""
    conv.zero_grad()
    values = values.detach().clone().requires_grad_(values.requires_grad)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        output = conv(values)
    torch.manual_seed(2)
    output.backward(torch.randn(output.shape).bfloat16().to(output.dtype))
    assert conv.weight.grad is not None
    return Gradients(output.detach(), values.grad, conv.weight.grad, None if conv.bias is None else conv.bias.grad)


def soil_memory() -> None:
    """Leave large numbers in what will be given out next."""
    pieces = [torch.full((1 << size,), 1e4) for size in range(12, 23)]
    del pieces


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[nn.Conv2d, Tensor]:
    """A convolution that is mended, and values for it."""
    integers = st.integers
    kernel = (draw(integers(1, 5)), draw(integers(1, 5)))
    stride = (draw(integers(1, 3)), draw(integers(1, 3)))
    dilation = (draw(integers(1, 3)), draw(integers(1, 3)))
    padding = (draw(integers(0, 3)), draw(integers(0, 3)))
    reach = [step * (side - 1) + 1 for step, side in zip(dilation, kernel, strict=True)]
    size = [draw(integers(max(1, most - 2 * edge), most + 8)) for most, edge in zip(reach, padding, strict=True)]
    groups = draw(integers(1, 4))
    many = (groups, groups) if draw(st.booleans()) else (2 * groups, 3 * groups)
    torch.manual_seed(draw(integers(0, 9)))
    conv = nn.Conv2d(*many, kernel, stride, padding, dilation, groups, bias=draw(st.booleans())).double()
    conv.__class__ = MendedConv2d  # also those that need no mending: their gradients must be right, too
    return conv, torch.randn(draw(integers(1, 3)), many[0], *size, dtype=torch.float64, requires_grad=True)


@settings(max_examples=150)
@given(convolutions())
def test_gradients_are_those_of_the_plain_convolution(drawn: tuple[nn.Conv2d, Tensor]) -> None:
    conv, values = drawn
    plain = copy.deepcopy(conv)
    plain.__class__ = nn.Conv2d
    for found, expected in zip(gradients(conv, values), gradients(plain, values), strict=True):
        assert (found is None) == (expected is None)
        if found is not None and expected is not None:
            assert found.shape == expected.shape
            assert torch.allclose(found, expected, rtol=1e-9, atol=1e-9)


CASES = {
    "depthwise, dilated": nn.Conv2d(96, 96, 3, padding=2, dilation=2, groups=96),
    "depthwise, large, dilated": nn.Conv2d(72, 72, 5, padding=4, dilation=2, groups=72, bias=False),
    "depthwise, large": nn.Conv2d(40, 40, 5, padding=2, groups=40),
    "depthwise, strided": nn.Conv2d(24, 24, 3, stride=2, padding=1, groups=24, bias=False),
    "depthwise, large, strided": nn.Conv2d(24, 24, 5, stride=2, padding=2, groups=24),
    "depthwise, dilated without need": nn.Conv2d(16, 16, 1, dilation=6, groups=16),
    "depthwise, padded beyond its reach": nn.Conv2d(16, 16, 1, padding=1, dilation=2, groups=16),
    "dense, dilated": nn.Conv2d(32, 24, 3, padding=6, dilation=6),
    "dense, dilated and strided": nn.Conv2d(8, 16, 3, stride=2, padding=2, dilation=2),
    "groups, dilated": nn.Conv2d(24, 32, 3, padding=3, dilation=3, groups=4),
}


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_gradients_in_bf16_are_as_good_as_bf16_allows(case: str, *, channels_last: bool) -> None:
    """oneDNN's own are not: of a dilated one's weight they are wrong on processors with avx512_bf16."""
    conv = mended(CASES[case])
    with torch.no_grad():
        conv.weight.copy_(conv.weight.bfloat16())
    torch.manual_seed(1)
    values = torch.randn(4, conv.in_channels, 23, 30).bfloat16().float().requires_grad_()
    if channels_last:
        conv = conv.to(memory_format=torch.channels_last)
        values = values.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    exact = gradients(copy.deepcopy(conv).double(), values.double().detach().requires_grad_())
    for _ in range(3):  # what is made of old memory differs from time to time
        soil_memory()
        for found, expected in zip(gradients(conv, values, autocast=True), exact, strict=True):
            assert (found is None) == (expected is None)
            if found is not None and expected is not None:
                assert float((found - expected).abs().max()) <= 0.01 * float(expected.abs().max())


def test_values_that_nobody_asks_about_get_no_gradient() -> None:
    conv = mended(CASES["depthwise, dilated"])
    found = gradients(conv, torch.randn(1, 96, 9, 9))
    assert found.of_values is None and found.of_weight.abs().sum() > 0


def test_only_plain_convolutions_that_need_it_are_mended() -> None:
    class Own(nn.Conv2d):
        """Somebody else's, such as one that rounds as int8."""

    left = nn.ModuleDict(
        {
            "quick": nn.Conv2d(8, 8, 3, padding=1, groups=8),
            "dense": nn.Conv2d(8, 8, 5, stride=2),
            "point": nn.Conv2d(8, 8, 1),
            "one channel": nn.Conv2d(1, 1, 5, stride=2),
            "more out than in": nn.Conv2d(8, 16, 5, stride=2, groups=8),
            "named padding": nn.Conv2d(8, 8, 3, padding="same", dilation=2),
            "mirrored": nn.Conv2d(8, 8, 3, padding=2, dilation=2, padding_mode="reflect"),
            "own": Own(8, 8, 3, dilation=2),
        }
    )
    types = {name: type(module) for name, module in left.items()}
    mend_convolutions(left)
    assert {name: type(module) for name, module in left.items()} == types


def test_a_mended_network_computes_and_is_stored_as_before() -> None:
    torch.manual_seed(0)
    net = build("lraspp_mobilenet_v3_large", 5, (64, 64)).eval()
    copied = copy.deepcopy(net)
    mend_convolutions(copied)
    assert sum(type(module) is MendedConv2d for module in copied.modules()) == 8
    assert list(copied.state_dict()) == list(net.state_dict())
    values = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(copied(values), net(values))


@pytest.mark.parametrize("average", [False, True])
def test_training_on_a_processor_mends_what_it_trains(tmp_path: Path, *, average: bool) -> None:
    config = resolve(
        TrainConfig(
            DataConfig("procedural:64x64,n=8", size=(64, 64), workers=0),
            tmp_path / "run",
            ModelConfig("lraspp_mobilenet_v3_large"),
            optim=OptimConfig(epochs=1, batch=4),
        )
    )
    task = SemanticTask(*(open_data(config.data.data, split) for split in ("train", "val")))
    parts = assemble(config, task.make_contract(config), task, make_fabric(config))
    net = parts.state.average.module if average else parts.module.net
    assert any(type(module) is MendedConv2d for module in net.modules())
