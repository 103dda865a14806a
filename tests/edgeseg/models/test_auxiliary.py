from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgeseg.compress.pruning import prune
from edgeseg.models import build
from edgeseg.models.auxiliary import Auxiliary, auxiliaries, auxiliary_heads, tapped


class Tapped(nn.Module):
    """Two features worth a head."""

    auxiliary = (Auxiliary("first", hidden=6), Auxiliary("rest.0", hidden=4, kind="boundary"))

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, 2, 1)
        self.rest = nn.Sequential(nn.Conv2d(8, 5, 1), nn.ReLU(), nn.BatchNorm2d(5))

    def forward(self, image: Tensor) -> Tensor:
        return self.rest(self.first(image))  # type: ignore[no-any-return]


def test_heads_fit_the_features_that_they_read() -> None:
    heads: Any = auxiliary_heads(Tapped(), 7, (16, 24))
    assert [(head[0][0].in_channels, head[0][0].out_channels, head[-1].out_channels) for head in heads] == [
        (8, 6, 7),
        (5, 4, 1),
    ]


def test_making_heads_leaves_the_network_as_it_is() -> None:
    net = Tapped().train()
    net.rest[2].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    auxiliary_heads(net, 7, (16, 24))
    assert net.training and net.rest[0].training and not net.rest[2].training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


def test_what_is_seen_is_what_was_computed_and_has_a_gradient() -> None:
    net, image = Tapped(), torch.randn(2, 3, 16, 24)
    with tapped(net, ["first"]) as seen:
        net(image)
    assert torch.equal(seen["first"], net.first(image))
    seen["first"].sum().backward()  # type: ignore[no-untyped-call]
    assert net.first.weight.grad is not None


def test_nothing_watches_after_an_error() -> None:
    net = Tapped()
    with pytest.raises(RuntimeError), tapped(net, ["first"]):
        net(torch.zeros(1, 4, 8, 8))
    assert not any(module._forward_hooks for module in net.modules())


def test_a_network_without_taps_has_no_heads() -> None:
    net = build("fast_scnn", 3, (64, 64))
    assert auxiliaries(net) == ()
    assert len(auxiliary_heads(net, 3, (64, 64))) == 0


def test_a_pruned_network_has_heads_of_its_own_width() -> None:
    net = build("pspnet_mobilenet_v2", 3, (64, 64))
    whole: Any = auxiliary_heads(net, 3, (64, 64))
    prune(net, (64, 64), 0.6)
    narrow: Any = auxiliary_heads(net, 3, (64, 64))
    assert narrow[0][0][0].in_channels < whole[0][0][0].in_channels
