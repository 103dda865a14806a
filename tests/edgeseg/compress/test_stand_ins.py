"""Networks with layers that Torch-Pruning cannot follow: what may go of them goes, and the rest stays."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import shufflenet_v2_x0_5

from edgeseg.compress.dependencies import find_places, remove_channels
from edgeseg.compress.pruning import prune
from edgeseg.compress.stand_ins import standing_in
from edgeseg.models import build
from edgeseg.models.shuffle_unit import ShuffleUnit
from edgeseg_runtime.errors import ConfigError
from tests.edgeseg.compress.test_pruning import randomise, silence

SIZE = (64, 64)


class Unpools(nn.Module):
    """The shape of a SegNet: 6 channels are pooled, become 6 others, and are put back where those were."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.middle = nn.Conv2d(6, 4, 1)
        self.last = nn.Conv2d(4, 6, 1)
        self.unpool = nn.MaxUnpool2d(2)
        self.scores = nn.Conv2d(6, 2, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        pooled, where = self.pool(self.first(image).relu())
        scores: torch.Tensor = self.scores(self.unpool(self.last(self.middle(pooled)), where, image.shape[-2:]))
        return scores


def test_channels_that_are_put_back_go_with_those_that_they_were_pooled_from() -> None:
    torch.manual_seed(0)
    net = Unpools().eval()
    places = {place.name: place for place in find_places(net, (8, 8))}
    (tied,) = (place for name, place in places.items() if name != "middle")
    assert {member.layer for member in tied.members} == {net.first, net.last}
    silence(tied, [1, 4])
    image = torch.randn(2, 3, 8, 8)
    before = net(image).detach()
    remove_channels(net, (8, 8), {tied.name: [1, 4]})
    assert net.first.out_channels == net.last.out_channels == 4
    torch.testing.assert_close(net(image), before)


@pytest.mark.parametrize("name", ["segnet_unpooling", "unet_shufflenet_v2_x0_5"])
def test_channels_that_are_zero_go_and_the_function_stays(name: str) -> None:
    net = build(name, 5, SIZE).eval()
    randomise(net)
    places, picture = find_places(net, SIZE), torch.randn(2, 3, *SIZE)
    generator = torch.Generator().manual_seed(2)
    removed = {
        place.name: torch.randperm(place.width, generator=generator)[: place.width // 2].tolist() for place in places
    }
    for place in places:
        silence(place, removed[place.name])
    before = net(picture).detach()
    remove_channels(net, SIZE, removed)
    assert before.std() > 1e-3
    assert torch.allclose(net(picture), before, atol=1e-4 * float(before.abs().max()))


def test_shuffled_channels_stay_and_those_within_a_unit_go() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 1), ShuffleUnit(8, 16, 2), ShuffleUnit(16, 16, 1), nn.Conv2d(16, 2, 1)).eval()
    names = {place.name for place in find_places(net, (16, 16))}
    # what the first convolution makes, and what each second branch has before its last convolution
    assert names == {"0", "1.branch2.3", "2.branch2.3"}


class UnpoolsUnseen(Unpools):
    """The same by functions, which nothing stands in for."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        pooled, where = F.max_pool2d(self.first(image).relu(), 2, return_indices=True)
        scores: torch.Tensor = self.scores(F.max_unpool2d(self.last(self.middle(pooled)), where, [2, 2]))
        return scores


def test_what_nothing_stands_in_for_is_refused() -> None:
    with pytest.raises(ConfigError, match="UnpoolsUnseen of this kind cannot be pruned: layers that must stay equally"):
        remove_channels(UnpoolsUnseen(), (8, 8), {"first": [0]})
    with pytest.raises(ConfigError, match="ShuffleNetV2 of this kind cannot be pruned: Torch-Pruning cannot follow"):
        prune(shufflenet_v2_x0_5(num_classes=5), (32, 32), 0.3)


def test_the_layers_come_back_whatever_happens() -> None:
    net = Unpools()
    layers = dict(net.named_modules())
    with pytest.raises(RuntimeError, match="stop"), standing_in(net):
        assert type(net.pool) is not nn.MaxPool2d and type(net.unpool) is not nn.MaxUnpool2d
        raise RuntimeError("stop")
    assert dict(net.named_modules()) == layers
