"""Every way to write an operation is recognised as the same kind."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.compress.fold import trace
from edgeseg.compress.operations import Kind, classify, path
from edgeseg.models.blocks import pool_to


class Calls(nn.Module):
    def __init__(self, run: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.run = run

    def forward(self, image: Tensor) -> Tensor:
        return self.run(image)


@pytest.mark.parametrize(
    ("kind", "run"),
    [
        (Kind.RECTIFIER, F.relu),
        (Kind.RECTIFIER, torch.relu),
        (Kind.RECTIFIER, F.relu6),
        (Kind.RECTIFIER, lambda x: x.relu()),
        (Kind.ACTIVATION, torch.sigmoid),
        (Kind.ACTIVATION, F.hardswish),
        (Kind.ACTIVATION, lambda x: x.sigmoid()),
        (Kind.MIX, lambda x: x + x),
        (Kind.MIX, lambda x: torch.mul(x, x)),
        (Kind.MIX, lambda x: x.add(x)),
        (Kind.AVERAGE, lambda x: x.mean((2, 3), keepdim=True)),
        (Kind.AVERAGE, lambda x: F.adaptive_avg_pool2d(x, 1)),
        (Kind.AVERAGE, lambda x: F.interpolate(x, scale_factor=2.0)),
        (Kind.JOIN, lambda x: torch.cat([x, x], 1)),
        (Kind.KEEP, lambda x: F.max_pool2d(x, 2)),
        (Kind.KEEP, lambda x: x.flatten(1)),
        (Kind.KEEP, lambda x: torch.transpose(x, 1, 2)),
        (Kind.KEEP, lambda x: x.chunk(2, dim=1)[1]),
        (Kind.NUMBER, lambda x: x.shape[2] * 2 + x.size(3) // 2),
    ],
)
def test_functions_and_methods_have_the_kind_of_what_they_do(kind: Kind, run: Callable[[Tensor], Tensor]) -> None:
    kinds = list(classify(trace(Calls(run))).values())
    assert kinds[0] is Kind.INPUT and kinds[-1] is Kind.OUTPUT
    assert set(kinds[1:-1]) == {kind}


class Pools(nn.Module):
    """Its forward finds `pool_to` among the names of its file, as a network's does."""

    def forward(self, image: Tensor) -> Tensor:
        return pool_to(image, 2)


def test_pooling_to_bins_stays_one_operation_that_tells_where_it_is() -> None:
    graph_module = trace(nn.Sequential(nn.Identity(), Pools()))
    kinds = classify(graph_module)
    (node,) = (node for node, kind in kinds.items() if kind is Kind.AVERAGE)
    assert node.target is pool_to and path(node) == "1.pool_to"
