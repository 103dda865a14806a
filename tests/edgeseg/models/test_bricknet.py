"""BrickNet: made of what int8 engines do fast, and of nothing else."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from edgeseg.compress.fold import fold_batch_norm
from edgeseg.compress.macs import layer_macs
from edgeseg.compress.operations import Kind, classify
from edgeseg.models.bricknet import MEDIUM, SMALL, TINY, BrickNet, BrickShape
from edgeseg.models.cost import count_macs

SHAPES = {"t": TINY, "s": SMALL, "m": MEDIUM}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_it_is_dense_convolutions_of_widths_that_fill_a_register(shape: BrickShape) -> None:
    convs = [module for module in BrickNet(5, shape).modules() if isinstance(module, nn.Conv2d)]
    assert all(conv.groups == 1 for conv in convs)
    assert all(conv.out_channels % 16 == 0 for conv in convs[:-1])


def test_folded_it_has_no_operation_but_these() -> None:
    kinds = set(classify(fold_batch_norm(BrickNet(5, TINY).eval())).values())
    assert kinds == {
        Kind.INPUT, Kind.CONVOLUTION, Kind.RECTIFIER, Kind.MIX, Kind.AVERAGE, Kind.NUMBER, Kind.OUTPUT
    }  # fmt: skip


def test_most_work_is_in_bricks() -> None:
    net = BrickNet(11, SMALL)
    macs = layer_macs(net, (360, 480))
    bricks = sum(count for layer, count in macs.items() if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3))
    assert bricks > 0.9 * macs.total()


def test_the_sizes_differ_by_half_or_more() -> None:
    macs = [count_macs(BrickNet(11, shape), (360, 480)) for shape in SHAPES.values()]
    assert all(larger > 1.5 * smaller for smaller, larger in pairwise(macs))


def test_a_pixel_sees_the_whole_picture() -> None:
    torch.manual_seed(0)
    net = BrickNet(2, TINY).eval()
    image = torch.randn(1, 3, 360, 480, requires_grad=True)
    scores: Tensor = net(image)
    scores[0, :, 45, 60].sum().backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None
    reached = image.grad.abs().sum(dim=(0, 1)) > 0
    rows, columns = reached.any(dim=1).float().mean(), reached.any(dim=0).float().mean()
    assert rows > 0.9 and columns > 0.7
