from __future__ import annotations

import json
from copy import deepcopy

import pytest
import torch
from torch import nn

from edgeseg.compress.channels import channel_plan, resize_channels
from edgeseg.compress.pruning import prune
from edgeseg.models import build
from edgeseg_runtime.errors import CheckpointError

ZOO = ("fast_scnn", "lraspp_mobilenet_v3_large", "unet")  # every other one: tests/edgeseg/models, slow

SIZE = (64, 64)


def small() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 3, groups=4, bias=False),
        nn.Flatten(),
        nn.Linear(8, 6),
        nn.LayerNorm(6),
    )


def test_a_plan_says_every_width_and_is_plain_json() -> None:
    plan = channel_plan(small())
    assert plan == {"0": [8, 3, 1], "1": [8], "2": [8, 8, 4], "4": [6, 8], "5": [6]}
    assert json.loads(json.dumps(plan)) == plan


@pytest.mark.parametrize("name", ZOO)
def test_a_pruned_net_is_built_again_from_its_plan(name: str) -> None:
    torch.manual_seed(0)
    net = build(name, 5, SIZE).eval()
    prune(net, SIZE, 0.4)
    plan = json.loads(json.dumps(channel_plan(net)))
    again = build(name, 5, SIZE).eval()
    resize_channels(again, plan)
    again.load_state_dict(net.state_dict())
    assert channel_plan(again) == plan
    picture = torch.randn(2, 3, *SIZE)
    assert torch.equal(again(picture), net(picture))


def test_resizing_reaches_groups_linear_layers_and_what_a_layer_says_of_itself() -> None:
    net = small()
    resize_channels(net, {"0": [6, 3, 1], "1": [6], "2": [4, 6, 2], "4": [5, 4], "5": [5]})
    first, norm, grouped, _, linear, pixels = net
    assert isinstance(first, nn.Conv2d) and isinstance(grouped, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d) and isinstance(linear, nn.Linear)
    assert isinstance(pixels, nn.LayerNorm)
    assert first.bias is not None and first.bias.shape == (6,)
    assert norm.running_mean is not None and norm.running_mean.shape == (6,)
    assert grouped.weight.shape == (4, 3, 3, 3) and grouped.bias is None
    assert (grouped.in_channels, grouped.out_channels, grouped.groups) == (6, 4, 2)
    assert (linear.in_features, linear.weight.shape) == (4, (5, 4))
    assert (pixels.normalized_shape, pixels.weight.shape, pixels.bias.shape) == ((5,), (5,), (5,))
    assert net(torch.randn(2, 3, 5, 5)).shape == (2, 5)


def test_layers_of_the_same_width_keep_their_values() -> None:
    net = small()
    before = deepcopy(net.state_dict())
    resize_channels(net, channel_plan(net))
    resize_channels(net, {})
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("9", [4]),  # no such layer
        ("3", [4]),  # a layer without widths
        ("0", [4, 3]),  # groups missing
        ("0", [16, 3, 1]),  # wider than the network
        ("1", [0]),
        ("1", [-4]),
        ("1", [4.0]),
        ("1", [True]),
        ("1", 4),
        ("1", "4"),
        ("2", [6, 8, 4]),  # 4 groups do not divide 6 outputs
    ],
)
def test_a_plan_that_does_not_fit_is_refused_whole(name: str, widths: list[int]) -> None:
    net = small()
    with pytest.raises(CheckpointError, match=f"'{name}'"):
        resize_channels(net, {"4": [5, 8], "5": [5], name: widths})
    assert channel_plan(net) == channel_plan(small())
