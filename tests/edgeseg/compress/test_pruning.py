from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import get_args

import pytest
import torch
import torch_pruning
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from edgeseg.compress.channels import channel_plan
from edgeseg.compress.dependencies import Place, find_places, remove_channels
from edgeseg.compress.importance import Criterion, Member
from edgeseg.compress.pruning import (
    Cost,
    PruneOptions,
    Ranking,
    Scope,
    choose,
    macs_share,
    prune,
    prune_to,
    rank,
    step_ratios,
)
from edgeseg.models import build
from edgeseg.models.cost import count_macs, count_parameters
from edgeseg_runtime.errors import ConfigError, GateFailed

ZOO = ("fast_scnn", "lraspp_mobilenet_v3_large", "unet")  # every other one: tests/edgeseg/models, slow

SIZE = (64, 64)


def tiny(width: int = 4) -> nn.Sequential:
    """One place to prune: the `width` channels between two convolutions."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, width, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 2, 1)
    ).eval()


def filters(net: nn.Sequential) -> Tensor:
    weight = net[0].weight
    assert isinstance(weight, Tensor)
    return weight.data


def randomise(net: nn.Module) -> None:
    """Give batch normalisations statistics and scales that differ, as a trained network's do."""
    torch.manual_seed(1)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None and layer.running_var is not None
            layer.running_mean.uniform_(-0.2, 0.2)
            layer.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.2, 0.2)


def silence(place: Place, channels: list[int]) -> None:
    """Make channels exactly zero wherever they are made."""
    for member in place.members:
        own = [index for index, channel in zip(member.own, member.channels, strict=True) if channel in channels]
        for name in ("weight", "bias", "running_mean"):
            values = getattr(member.layer, name, None)
            if isinstance(values, Tensor):
                values.data[own] = 0


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("criterion", ["l1", "bn"])
def test_channels_that_are_zero_go_and_the_function_stays(name: str, criterion: Criterion) -> None:
    net = build(name, 5, SIZE).eval()
    randomise(net)
    for place in find_places(net, SIZE):
        silence(place, list(range(0, place.width, 2)))
    picture = torch.randn(2, 3, *SIZE)
    before = net(picture).detach()
    options = PruneOptions(criterion, "layer", round_to=1)
    report = prune(net, SIZE, 0.5, options)
    assert report.parameters[1] < 0.4 * report.parameters[0]
    assert before.std() > 1e-3
    assert torch.allclose(net(picture), before, atol=1e-4 * float(before.abs().max()))


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_widths_are_multiples_and_the_ends_stay(name: str, scope: Scope) -> None:
    net = build(name, 5, SIZE).eval()
    report = prune(net, SIZE, 0.5, PruneOptions(scope=scope))
    scores = net(torch.randn(1, 3, *SIZE))
    assert scores.shape[1] == 5
    changed = {name: (before, after) for name, (before, after) in report.widths.items() if after != before}
    assert len(changed) > 20
    assert all(after % 8 == 0 and 8 <= after < before for before, after in changed.values())
    first = next(layer for layer in net.modules() if isinstance(layer, nn.Conv2d))
    assert first.in_channels == 3
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            assert layer.groups == layer.in_channels == layer.out_channels


def test_the_report_holds_what_is_there() -> None:
    net = build("unet", 5, SIZE)
    before, macs = channel_plan(net), count_macs(net, SIZE)
    report = prune(net, SIZE, 0.3)
    after = channel_plan(net)
    assert report.parameters[1] == sum(value.numel() for value in net.parameters())
    assert report.macs == (macs, count_macs(net, SIZE))
    assert report.macs_share == report.macs[1] / macs
    assert report.widths["head"] == (5, 5)
    assert report.widths["encoder.0.0"] == (before["encoder.0.0"][0], after["encoder.0.0"][0])
    assert net.training  # as it came


def test_two_reports_join_to_one() -> None:
    net = build("fast_scnn", 5, SIZE)
    whole = deepcopy(net)
    first = prune(net, SIZE, 0.2)
    both = first.then(prune(net, SIZE, 0.25))
    assert both.parameters == (count_parameters(whole), count_parameters(net))
    assert both.macs == (count_macs(whole, SIZE), count_macs(net, SIZE))
    assert both.widths["context.0.body.0.0"][0] == 384
    assert both.widths["context.0.body.0.0"][1] == channel_plan(net)["context.0.body.0.0"][0]
    assert both.ratio == pytest.approx(0.4)


@pytest.mark.parametrize("criterion", ["l1", "taylor"])
def test_pruning_is_deterministic_and_leaves_layers_frozen_and_in_their_mode(criterion: Criterion) -> None:
    picture = torch.randn(1, 3, *SIZE)
    options = PruneOptions(criterion, losses=lambda net: iter([net(picture).square().mean()]))
    nets = [build("fast_scnn", 5, SIZE) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    for net in nets:
        net.requires_grad_(False)
        head = net.get_submodule("classifier").eval()
        prune(net, SIZE, 0.3, options)
        assert net.training and not any(layer.training for layer in head.modules())
        assert not any(parameter.requires_grad for parameter in net.parameters())
    first, second = (net.state_dict() for net in nets)
    assert all(torch.equal(first[name], second[name]) for name in first)


# --- criteria, by hand ---


def removed_by(net: nn.Module, options: PruneOptions, ratio: float = 0.25) -> list[int]:
    (removed,) = choose(rank(net, (8, 8), options), ratio, options).values()
    return removed


def test_l1_removes_the_filter_of_the_smallest_norm() -> None:
    net = tiny()
    filters(net).fill_(1.0)
    filters(net)[2] = torch.tensor([-0.5, 0.5, 0.4]).view(3, 1, 1)  # absolute sum 1.4 × 9, against 27
    filters(net)[0] = -2.0
    assert removed_by(net, PruneOptions("l1", round_to=1)) == [2]
    (scores,) = rank(net, (8, 8), PruneOptions("l1", round_to=1)).scores
    norms = torch.tensor([54.0, 27.0, 12.6, 27.0])
    assert torch.allclose(scores, norms / norms.mean())


def test_bn_removes_the_channel_of_the_smallest_scale() -> None:
    net = tiny()
    assert isinstance(net[1], nn.BatchNorm2d)
    net[1].weight.data = torch.tensor([1.0, -0.1, 0.5, -2.0])
    assert removed_by(net, PruneOptions("bn", round_to=1)) == [1]
    assert removed_by(net, PruneOptions("bn", round_to=1), 0.5) == [1, 2]


def test_fpgm_removes_a_filter_that_another_replaces() -> None:
    net = tiny(5)
    values = torch.zeros(5, 27)
    values[:, 0] = torch.tensor([10.0, 10.0, 0.1, 30.0, -20.0])  # L1 would remove filter 2
    filters(net).copy_(values.view(5, 3, 3, 3))
    distances = (values[:, :1] - values[:, :1].T).abs().sum(dim=1)
    (scores,) = rank(net, (8, 8), PruneOptions("fpgm", round_to=1)).scores
    assert torch.allclose(scores, distances / distances.mean())
    assert removed_by(net, PruneOptions("fpgm", round_to=1), 0.2) == [0]
    assert removed_by(net, PruneOptions("l1", round_to=1), 0.2) == [2]


def test_taylor_removes_the_channel_that_changes_the_loss_least() -> None:
    net = tiny()
    batches = [torch.randn(2, 3, 8, 8) for _ in range(3)]

    def losses(given: nn.Module) -> Iterator[Tensor]:
        return (given(batch).square().mean() for batch in batches)

    norm = net[1]
    assert isinstance(norm, nn.BatchNorm2d)
    nn.init.uniform_(norm.bias, 0.1, 0.3)
    expected = torch.zeros(4)
    for loss in losses(net):
        by_scale, by_shift = torch.autograd.grad(loss, [norm.weight, norm.bias])
        expected += (norm.weight * by_scale + norm.bias * by_shift).detach() ** 2 / 3
    options = PruneOptions("taylor", round_to=1, losses=losses)
    (scores,) = rank(net, (8, 8), options).scores
    macs = 27 * 36 + 2 * 36  # one channel's: made by 3×3 of 3 inputs, read for 2 outputs, on 6×6
    assert torch.allclose(scores, expected / macs, rtol=1e-4)
    assert removed_by(net, options) == [int(expected.argmin())]
    assert all(parameter.grad is None for parameter in net.parameters())


def test_taylor_estimates_what_removal_does_to_the_loss() -> None:
    """Without normalisation and in a linear network the first-order change by a filter is exact."""
    torch.manual_seed(3)
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 1, 1))
    batch = torch.randn(2, 3, 8, 8)
    options = PruneOptions("taylor", round_to=1, losses=lambda given: iter([given(batch).mean()]))
    (scores,) = rank(net, (8, 8), options).scores
    changes = []
    for channel in range(4):
        without = deepcopy(net)
        remove_channels(without, (8, 8), {"0": [channel]})
        with torch.no_grad():
            changes.append(float((without(batch).mean() - net(batch).mean()) ** 2))
    assert torch.allclose(scores, torch.tensor(changes) / (3 * 64 + 64), rtol=1e-3)


def test_taylor_needs_losses() -> None:
    with pytest.raises(ConfigError, match="taylor needs gradients"):
        PruneOptions("taylor")
    with pytest.raises(ConfigError, match="at least one batch"):
        prune(tiny(), (8, 8), 0.5, PruneOptions("taylor", losses=lambda _: iter(())))


def test_a_net_without_batch_normalisation_gives_bn_nothing_to_judge_by() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 2, 1))
    with pytest.raises(ConfigError, match="bn finds no channel"):
        prune(net, (8, 8), 0.5, PruneOptions("bn"))


def test_every_criterion_prunes_a_real_net_to_another_choice() -> None:
    picture, chosen = torch.randn(2, 3, *SIZE), {}
    for criterion in get_args(Criterion):
        net = build("fast_scnn", 5, SIZE).eval()
        torch.manual_seed(0)
        for parameter in net.parameters():
            nn.init.normal_(parameter)
        options = PruneOptions(
            criterion,
            losses=lambda given: iter([given(picture).square().mean()]),
        )
        chosen[criterion] = choose(rank(net, SIZE, options), 0.4, options)
        prune(net, SIZE, 0.4, options)
        assert net(picture).isfinite().all()
    assert len({str(removed) for removed in chosen.values()}) == 4


def test_convolutions_in_groups_are_left_alone() -> None:
    net = nn.Sequential(nn.Conv2d(3, 16, 1), nn.Conv2d(16, 16, 3, groups=4), nn.Conv2d(16, 16, 1), nn.Conv2d(16, 2, 1))
    report = prune(net, (8, 8), 0.5, PruneOptions(round_to=1))
    assert report.widths == {"0": (16, 16), "1": (16, 16), "2": (16, 8), "3": (2, 2)}


def test_depthwise_convolutions_with_a_multiplier_are_left_alone() -> None:
    net = nn.Sequential(nn.Conv2d(3, 16, 1), nn.Conv2d(16, 32, 3, groups=16), nn.Conv2d(32, 16, 1), nn.Conv2d(16, 2, 1))
    report = prune(net, (8, 8), 0.5, PruneOptions(round_to=1))
    assert report.widths == {"0": (16, 16), "1": (32, 32), "2": (16, 8), "3": (2, 2)}


class SideBySide(nn.Module):
    """A depthwise convolution of what two layers make, the second of them with small weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.left, self.right = nn.Conv2d(3, 12, 1), nn.Conv2d(3, 6, 1)
        self.depthwise, self.scores = nn.Conv2d(18, 18, 3, groups=18), nn.Conv2d(18, 2, 1)
        self.right.weight.data *= 0.01
        self.depthwise.weight.data[12:] *= 0.01
        self.scores.weight.data[:, 12:] *= 0.01

    def forward(self, image: Tensor) -> Tensor:
        both = torch.cat([self.left(image), self.right(image)], dim=1)
        return self.scores(self.depthwise(both))  # type: ignore[no-any-return]


@pytest.mark.parametrize(("ratio", "left", "right"), [(0.3, 9, 3), (0.6, 3, 3)])
def test_of_layers_that_only_meet_side_by_side_none_is_emptied(ratio: float, left: int, right: int) -> None:
    net = SideBySide()
    report = prune(net, (8, 8), ratio, PruneOptions(round_to=3))
    widths = {name: after for name, (_, after) in report.widths.items()}
    assert widths == {"left": left, "right": right, "depthwise": left + right, "scores": 2}


def test_channels_side_by_side_keep_their_own_filters() -> None:
    net = SideBySide()
    for layer in (net.left, net.right, net.depthwise):
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
    for layer, gone in ((net.left, [1, 4, 11]), (net.right, [0, 5]), (net.depthwise, [1, 4, 11, 12, 17])):
        layer.weight.data[gone] = 0
    picture = torch.randn(1, 3, 8, 8)
    before = net(picture)
    prune(net, (8, 8), 5 / 18, PruneOptions(round_to=1))
    assert net.left.out_channels == 9 and net.right.out_channels == 4
    torch.testing.assert_close(net(picture), before)


def test_layers_that_a_plan_does_not_know_are_left_alone() -> None:
    net = nn.Sequential(nn.Conv2d(3, 16, 1), nn.PReLU(16), nn.Conv2d(16, 8, 1), nn.Conv2d(8, 2, 1))
    report = prune(net, (8, 8), 0.5, PruneOptions(round_to=1))
    assert report.widths == {"0": (16, 16), "2": (8, 4), "3": (2, 2)}


def test_a_channels_macs_are_those_of_every_layer_it_runs_through() -> None:
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3, groups=6), nn.Conv2d(6, 5, 1), nn.Conv2d(5, 2, 1))
    # on 6×6, then 4×4 positions: made with 3×3 of 3 inputs, filtered by 3×3, read for 5 outputs; the rest alike
    by_hand = {6: 27 * 36 + 9 * 16 + 5 * 16, 5: 6 * 16 + 2 * 16}
    assert {place.width: place.macs for place in find_places(net, (8, 8))} == by_hand


# --- how many ---


@st.composite
def rankings(draw: st.DrawFn) -> Ranking:
    widths = draw(st.lists(st.integers(1, 40), min_size=1, max_size=4))
    values = st.floats(0, 10, width=32)
    scores = [torch.tensor(draw(st.lists(values, min_size=width, max_size=width))) for width in widths]
    places = [Place(str(index), width, 1.0, list[Member]()) for index, width in enumerate(widths)]
    return Ranking(places, scores)


@settings(max_examples=100, deadline=None)
@given(rankings(), st.floats(0.01, 0.99), st.sampled_from([1, 4, 8]), st.sampled_from(["global", "layer"]))
def test_whatever_the_ratio_no_layer_is_emptied(ranking: Ranking, ratio: float, round_to: int, scope: Scope) -> None:
    options = PruneOptions(scope=scope, round_to=round_to)
    try:
        removed = choose(ranking, ratio, options)
    except ConfigError as error:
        assert "would empty a layer" in str(error) or "as narrow as it may be" in str(error)
        return
    for place, scores in zip(ranking.places, ranking.scores, strict=True):
        gone = removed[place.name]
        left = place.width - len(gone)
        assert left >= min(place.width, round_to)
        assert left == place.width or left % round_to == 0
        kept = [float(score) for index, score in enumerate(scores) if index not in gone]
        assert all(float(scores[index]) <= min(kept) for index in gone)
        if scope == "layer":
            assert abs(left - place.width * (1 - ratio)) <= max(round_to, 1)
    if scope == "global" and round_to == 1:
        total = sum(place.width for place in ranking.places)
        assert sum(map(len, removed.values())) == round(ratio * total)


@settings(max_examples=100, deadline=None)
@given(rankings(), st.floats(0.01, 0.9), st.floats(0.01, 0.9))
def test_a_higher_ratio_never_gives_a_channel_back(ranking: Ranking, one: float, other: float) -> None:
    options = PruneOptions(round_to=4)
    try:
        less, more = (choose(ranking, ratio, options) for ratio in sorted((one, other)))
    except ConfigError:
        return
    assert all(set(less[name]) <= set(more[name]) for name in less)


def test_global_takes_from_where_the_least_is() -> None:
    places = [Place(name, 16, 1.0, []) for name in "ab"]
    ranking = Ranking(places, [torch.arange(16) + 1.0, torch.arange(16) + 8.5])
    assert {name: len(gone) for name, gone in choose(ranking, 0.25, PruneOptions(round_to=1)).items()} == {
        "a": 8,
        "b": 0,
    }
    by_layer = choose(ranking, 0.25, PruneOptions(scope="layer", round_to=1))
    assert {name: len(gone) for name, gone in by_layer.items()} == {"a": 4, "b": 4}


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.5, 1.5, float("nan")])
def test_ratios_that_are_none(ratio: float) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        prune(tiny(), (8, 8), ratio)


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_a_ratio_that_would_empty_a_layer(scope: Scope) -> None:
    net = build("fast_scnn", 5, SIZE)
    before = channel_plan(net)
    with pytest.raises(ConfigError, match=r"0\.99 would empty a layer; at most 0\.9\d can go"):
        prune(net, SIZE, 0.99, PruneOptions(scope=scope))
    assert channel_plan(net) == before


def test_the_highest_ratio_named_in_the_error_works() -> None:
    net = build("fast_scnn", 5, SIZE)
    with pytest.raises(ConfigError) as caught:
        prune(net, SIZE, 0.99)
    prune(net, SIZE, float(str(caught.value).split("at most ")[1].split()[0]))
    assert net.eval()(torch.randn(1, 3, *SIZE)).shape[1] == 5


def test_a_ratio_that_removes_nothing() -> None:
    with pytest.raises(ConfigError, match="removes nothing"):
        prune(tiny(64), (8, 8), 0.02)
    with pytest.raises(ConfigError, match="as narrow as it may be; round to less"):
        prune(tiny(8), (8, 8), 0.02)


def test_widths_are_not_rounded_to_nothing() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        PruneOptions(round_to=0)


@given(st.floats(0.01, 0.99), st.integers(1, 6))
def test_steps_multiply_to_the_whole(ratio: float, steps: int) -> None:
    left = 1.0
    ratios = step_ratios(ratio, steps)
    for part in ratios:
        assert left * part == pytest.approx(ratio / steps)  # equal parts of the unpruned network
        left *= 1 - part
    assert len(ratios) == steps
    assert left == pytest.approx(1 - ratio)


def test_no_steps() -> None:
    with pytest.raises(ConfigError, match="at least 1 step"):
        step_ratios(0.5, 0)


# --- costs ---


def test_macs_by_hand() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),  # 8×3×9 at 4×6 positions
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),  # 8×9 at 4×6
        nn.Conv2d(8, 6, 1),  # 6×8 at 4×6
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 5),  # 6×5
    )
    assert count_macs(net, (8, 12)) == (216 + 72 + 48) * 24 + 30
    assert net.training


@pytest.mark.parametrize("name", ZOO)
def test_macs_against_torch_prunings_own_counter(name: str) -> None:
    net = build(name, 5, SIZE).eval()
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            layer.bias = None  # which it counts too
    _, _, flops, _ = torch_pruning.utils.count_ops_and_params(net, torch.zeros(1, 3, *SIZE), layer_wise=True)
    theirs = sum(flops[layer] for layer in net.modules() if isinstance(layer, nn.Conv2d))
    assert count_macs(net, SIZE) == theirs


@pytest.mark.parametrize("share", [pytest.param(0.7, marks=pytest.mark.slow), 0.4])
def test_bisection_meets_the_bound_and_no_more(share: float) -> None:
    net = build("unet", 5, SIZE)
    whole = count_macs(net, SIZE)
    report = prune_to(net, SIZE, macs_share(net, SIZE), share)
    assert count_macs(net, SIZE) == report.macs[1]
    assert share - 0.05 < report.macs_share <= share
    assert report.macs[0] == whole


def test_bisection_takes_the_smallest_ratio_that_a_measured_cost_allows() -> None:
    """The cost counts channels, as if every one took a microsecond: what is left is then known."""
    net, tried = tiny(64), []

    def microseconds(candidate: nn.Module) -> float:
        tried.append(channel_plan(candidate)["0"][0])
        return tried[-1] * 1.0

    report = prune_to(net, (8, 8), Cost(microseconds, "µs"), 37, PruneOptions(round_to=4))
    assert channel_plan(net)["0"] == [36, 3, 1]
    assert report.widths["0"] == (64, 36)
    assert len(tried) == 12  # the net itself, its narrowest form, and ten tries


def test_a_bound_that_nothing_meets_names_the_nearest() -> None:
    net = build("fast_scnn", 5, SIZE)
    before = channel_plan(net)
    with pytest.raises(GateFailed, match=r"cannot reach 0\.001 of the MACs: the nearest is 0\.0\d+ of the MACs"):
        prune_to(net, SIZE, macs_share(net, SIZE), 0.001)
    assert channel_plan(net) == before


def test_a_bound_that_is_met_already() -> None:
    net = tiny()
    with pytest.raises(ConfigError, match="nothing to prune: 1 of the MACs is already within 2 of the MACs"):
        prune_to(net, (8, 8), macs_share(net, (8, 8)), 2)
