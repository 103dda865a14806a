"""Folding batch normalisations keeps the function."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from edgeseg.compress.fold import fold_batch_norm, trace
from edgeseg.models import build
from edgeseg.models.blocks import ConvBnRelu
from edgeseg_runtime.errors import ConfigError

ZOO = ("fast_scnn", "lraspp_mobilenet_v3_large", "unet")  # every other one: tests/edgeseg/models, slow


def disturb(net: nn.Module) -> nn.Module:
    """Give batch normalisations statistics and weights that a trained network might have."""
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            with torch.no_grad():
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.2, generator=generator)
    return net


def norms(net: nn.Module) -> list[str]:
    return [name for name, module in net.named_modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize("name", ZOO)
def test_folding_keeps_the_function(name: str) -> None:
    torch.manual_seed(0)
    net = disturb(build(name, 5, (64, 96))).eval()
    folded = fold_batch_norm(net)
    for size in ((64, 96), (70, 90)):  # the graph is not tied to a size
        image = torch.randn(2, 3, *size)
        with torch.no_grad():
            expected, found = net(image), folded(image)
        assert expected.std() > 1e-3
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    assert norms(folded) == []


def test_layers_keep_their_names_and_the_network_its_weights() -> None:
    net = disturb(nn.Sequential(ConvBnRelu(3, 4), nn.Dropout(0.5), nn.Conv2d(4, 2, 1))).train()
    before = deepcopy(net.state_dict())
    folded = fold_batch_norm(net)
    assert [name for name, module in folded.named_modules() if isinstance(module, nn.Conv2d)] == ["0.0", "2"]
    assert folded.training and folded.get_submodule("1").training
    assert net.training and all(module.training for module in net.modules())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert dict(folded.named_parameters())["0.0.bias"].requires_grad


class Shared(nn.Module):
    """A convolution whose output is also read unnormalised, one that is called twice, a normalisation before one."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.BatchNorm2d(3)
        self.forked, self.fork_norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        self.twice, self.twice_norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.plain, self.plain_norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, image: Tensor) -> Tensor:
        forked = self.forked(self.before(image))
        once = self.twice_norm(self.twice(forked + self.fork_norm(forked)))
        result: Tensor = self.plain_norm(self.plain(self.twice(once)))
        return result


def test_only_a_normalisation_that_alone_follows_a_convolution_is_folded() -> None:
    torch.manual_seed(0)
    net = disturb(Shared()).eval()
    folded, image = fold_batch_norm(net), torch.randn(2, 3, 5, 6)
    assert norms(folded) == ["before", "fork_norm", "twice_norm"]
    torch.testing.assert_close(folded(image), net(image), rtol=1e-4, atol=1e-5)


class Gate(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image if image.mean() > 0 else -image


class Loop(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return torch.stack([row * 2 for row in image])


@pytest.mark.parametrize("layer", [Gate(), Loop()])
def test_python_that_looks_at_values_is_named(layer: nn.Module) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.ReLU(), layer))
    with pytest.raises(ConfigError, match=r"'1\.1'"):
        trace(net)
    with pytest.raises(ConfigError, match="forward method"):
        trace(layer)
