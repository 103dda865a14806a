"""Networks with layers that Torch-Pruning cannot follow: what may go of them goes, and the rest stays."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import shufflenet_v2_x0_5

from edgeseg.compress.dependencies import find_places, remove_channels
from edgeseg.compress.pruning import prune
from edgeseg.compress.stand_ins import standing_in
from edgeseg.models import build
from edgeseg.models.attention import Attention
from edgeseg.models.segformer import grid, tokens
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


class Attends(nn.Module):
    """A convolution's pixels, 8 channels wide, attend to each other in 2 heads of 4; the input added."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 2, 2)
        self.norm = nn.LayerNorm(8)
        self.attend = Attention(8, 2)
        self.scores = nn.Conv2d(8, 2, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = self.embed(image)
        pixels = tokens(features)
        queries = self.norm(pixels)
        scores: torch.Tensor = self.scores(grid(pixels + self.attend(queries, queries), *features.shape[2:]))
        return scores


def test_of_attention_the_same_channels_go_from_every_head() -> None:
    torch.manual_seed(0)
    net = Attends().eval()
    for layer in (net.attend.query, net.attend.key, net.attend.value):
        nn.init.normal_(layer.bias)
    inside = {place.name: place for place in find_places(net, (8, 8))}["attend.query"]
    assert (inside.width, inside.heads) == (4, 2)
    assert {member.layer for member in inside.members} == {net.attend.query, net.attend.key, net.attend.value}
    silence(inside, [1, 2])
    image = torch.randn(2, 3, 8, 8)
    before = net(image).detach()
    remove_channels(net, (8, 8), {inside.name: inside.outputs([1, 2])})
    assert net.attend.query.out_features == net.attend.value.out_features == net.attend.out.in_features == 4
    torch.testing.assert_close(net(image), before)


def test_channels_between_blocks_go_with_their_normalisations() -> None:
    torch.manual_seed(0)
    net = Attends().eval()
    between = {place.name: place for place in find_places(net, (8, 8))}["attend.out"]
    assert {member.layer for member in between.members} == {net.embed, net.norm, net.attend.out}
    whole, kept = deepcopy(net), [0, 2, 3, 5, 7]
    remove_channels(net, (8, 8), {between.name: [1, 4, 6]})
    assert net.norm.normalized_shape == (5,)
    image = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        pixels = tokens(whole.embed(image)[:, kept])
        queries = torch.zeros(2, 16, 8)  # where channels are gone, what reads them gets nothing
        queries[..., kept] = F.layer_norm(pixels, (5,), whole.norm.weight[kept], whole.norm.bias[kept])
        features = grid(pixels + whole.attend(queries, queries)[..., kept], 4, 4)
        expected = F.conv2d(features, whole.scores.weight[:, kept], whole.scores.bias)
        torch.testing.assert_close(net(image), expected)


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
