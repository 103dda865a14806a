"""Structured pruning: whole channels are taken out of a network, which is then smaller and faster in every engine.

Which layers a channel runs through is found by Torch-Pruning's dependency graph (Fang et al., "DepGraph: Towards Any
Structural Pruning", CVPR 2023, arXiv:2301.12900).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from edgeseg.compress.channels import channel_plan
from edgeseg.compress.dependencies import Place, find_places, remove_channels, with_gradients
from edgeseg.compress.importance import Criterion, Losses, importance, taylor
from edgeseg.models.cost import count_macs, count_parameters
from edgeseg_runtime.errors import ConfigError, GateFailed
from edgeseg_runtime.progress import Progress, silent

Scope = Literal["global", "layer"]


@dataclass(frozen=True)
class Cost:
    """What a network must not have more of than a bound."""

    measure: Callable[[nn.Module], float]
    """Called on networks in evaluation mode, which it leaves as they are."""
    unit: str

    def say(self, value: float) -> str:
        """Return a value with its unit."""
        return f"{float(f'{value:.3g}'):,g} {self.unit}"


def macs_share(net: nn.Module, size: tuple[int, int]) -> Cost:
    """Return the cost of a network as its share of the multiply-accumulates of `net`."""
    whole = count_macs(net, size)
    return Cost(lambda candidate: count_macs(candidate, size) / whole, "of the MACs")


@dataclass(frozen=True)
class PruneOptions:
    """How channels are chosen. Raises ConfigError."""

    criterion: Criterion = "l1"
    scope: Scope = "global"
    """`global` ranks the channels of all layers together; `layer` takes the same share of each."""
    round_to: int = 8
    """Widths become multiples of this, and none goes below it."""
    losses: Losses | None = None
    """For `taylor`: yields the loss on one batch after another."""

    def __post_init__(self) -> None:
        if self.round_to < 1:
            raise ConfigError(f"widths are rounded to a multiple of at least 1, got {self.round_to}")
        if self.criterion == "taylor" and self.losses is None:
            raise ConfigError("the criterion taylor needs gradients, and so labelled pictures")


@dataclass(frozen=True)
class PruneReport:
    """What was taken out; pairs are (before, after)."""

    ratio: float
    """Share of the prunable channels that was asked for or found; rounding makes a little more or less of it."""
    parameters: tuple[int, int]
    macs: tuple[int, int]
    """Multiply-accumulates of one picture."""
    widths: dict[str, tuple[int, int]]
    """Output channels of every convolution and linear layer."""

    @property
    def macs_share(self) -> float:
        """Share of the multiply-accumulates that is left."""
        return self.macs[1] / self.macs[0]

    def then(self, later: PruneReport) -> PruneReport:
        """Return the report of this pruning and a later one of the same network."""
        return PruneReport(
            1 - (1 - self.ratio) * (1 - later.ratio),
            (self.parameters[0], later.parameters[1]),
            (self.macs[0], later.macs[1]),
            {name: (width, later.widths[name][1]) for name, (width, _) in self.widths.items()},
        )


@dataclass(frozen=True)
class Ranking:
    """The places where a network can be made narrower, with the importance of their channels."""

    places: Sequence[Place]
    scores: Sequence[Tensor]
    """(width,) for each place."""


class NothingToPruneError(ConfigError):
    """Not a channel would go."""


def prune(net: nn.Module, size: tuple[int, int], ratio: float, options: PruneOptions | None = None) -> PruneReport:
    """Take the least important channels out of `net`, in place, and report it.

    `size` is the (height, width) of its input, `ratio` the share of channels to remove. The scores' channels and the
    input's are never touched. Raises ConfigError for a ratio that is not between 0 and 1, would empty a layer, or is
    too small to remove anything.
    """
    options = options or PruneOptions()
    if not 0 < ratio < 1:
        raise ConfigError(f"the ratio is the share of channels to remove, between 0 and 1; got {ratio}")
    ranking = rank(net, size, options)
    removed = choose(ranking, ratio, options)
    if not any(removed.values()):
        raise NothingToPruneError(
            f"a ratio of {ratio:g} removes nothing, as widths are rounded to multiples of {options.round_to}; "
            "take more, or round to less"
        )
    return _remove_and_report(net, size, ratio, removed)


def prune_to(
    net: nn.Module,
    size: tuple[int, int],
    cost: Cost,
    bound: float,
    options: PruneOptions | None = None,
    *,
    tries: int = 10,
    progress: Progress = silent,
) -> PruneReport:
    """Take out as few channels as bring the cost of `net` down to `bound`, found by bisection over the ratio.

    The cost is taken of copies that were really pruned, so it may be measured. Raises GateFailed naming the lowest
    cost when the narrowest network still costs more, and ConfigError when the network is cheap enough as it is.
    """
    options = options or PruneOptions()
    now = cost.measure(net)
    if now <= bound:
        raise NothingToPruneError(f"there is nothing to prune: {cost.say(now)} is already within {cost.say(bound)}")
    ranking = rank(net, size, options)

    def cost_of(ratio: float) -> float:
        candidate = deepcopy(net)
        remove_channels(candidate, size, choose(ranking, ratio, options))
        return cost.measure(candidate)

    low, high = 0.0, highest_ratio(ranking, options)
    if (least := cost_of(high)) > bound:
        raise GateFailed(
            f"pruning cannot reach {cost.say(bound)}: the nearest is {cost.say(least)}, with {high:.0%} of the "
            f"channels gone and every layer as narrow as it may be (unpruned: {cost.say(now)})"
        )
    for _ in progress(range(tries), "searching the ratio", tries):
        middle = (low + high) / 2
        if cost_of(middle) <= bound:
            high = middle
        else:
            low = middle
    return _remove_and_report(net, size, high, choose(ranking, high, options))


def step_ratios(ratio: float, steps: int) -> list[float]:
    """Return the ratios which, applied one after the other, each to what the last left, remove `ratio` in equal parts.

    For pruning with fine-tuning in between. Raises ConfigError for fewer than one step.
    """
    if steps < 1:
        raise ConfigError(f"pruning takes at least 1 step, got {steps}")
    left = [1 - ratio * step / steps for step in range(steps + 1)]
    return [1 - after / before for before, after in pairwise(left)]


def rank(net: nn.Module, size: tuple[int, int], options: PruneOptions) -> Ranking:
    """Judge every channel that can be removed."""
    places = find_places(net, size)
    members, widths = [place.members for place in places], [place.width for place in places]
    if options.losses is not None and options.criterion == "taylor":
        with with_gradients(net):
            changes = taylor(net, members, widths, options.losses)
        # the loss that is risked for what is saved: a channel at a fine resolution may matter more and still go first
        found = [None if change is None else change / place.macs for place, change in zip(places, changes, strict=True)]
    else:
        found = importance(members, widths, options.criterion)
    judged = [(place, scores) for place, scores in zip(places, found, strict=True) if scores is not None]
    if not judged:
        raise ConfigError(f"the criterion {options.criterion} finds no channel that could be removed")
    return Ranking([place for place, _ in judged], [scores.detach().cpu() for _, scores in judged])


def highest_ratio(ranking: Ranking, options: PruneOptions) -> float:
    """Return the largest ratio that leaves every layer its least width."""
    widths = [place.width for place in ranking.places]
    if options.scope == "layer":
        return 1 - 1 / min(widths)
    return 1 - sum(_least(width, options) for width in widths) / sum(widths)


def choose(ranking: Ranking, ratio: float, options: PruneOptions) -> dict[str, list[int]]:
    """Return the outputs to remove by layer: those of the least important, so many that round widths are left.

    Raises ConfigError when a layer would be left with nothing.
    """
    highest = highest_ratio(ranking, options)
    if highest < 0.01:
        raise NothingToPruneError(
            f"there is nothing to prune: with widths in multiples of {options.round_to}, every layer is as narrow as "
            "it may be; round to less"
        )
    if ratio > highest:
        raise ConfigError(f"a ratio of {ratio:g} would empty a layer; at most {math.floor(highest * 100) / 100} can go")
    kept = _kept_by_layer(ranking, ratio) if options.scope == "layer" else _kept_overall(ranking, ratio, options)
    removed = {}
    for place, scores, count in zip(ranking.places, ranking.scores, kept, strict=True):
        least = _least(place.width, options)
        rounded = options.round_to * math.floor(count / options.round_to + 0.5)
        left = min(place.width, max(least, rounded))
        order = torch.argsort(scores, stable=True)
        removed[place.name] = place.outputs(order[: place.width - left].tolist())
    return removed


def _kept_by_layer(ranking: Ranking, ratio: float) -> list[float]:
    return [place.width * (1 - ratio) for place in ranking.places]


def _kept_overall(ranking: Ranking, ratio: float, options: PruneOptions) -> list[float]:
    """Rank all channels together, leaving out the most important of each place, which stay whatever comes."""
    candidates, owners = [], []
    for index, (place, scores) in enumerate(zip(ranking.places, ranking.scores, strict=True)):
        free = torch.sort(scores).values[: place.width - _least(place.width, options)]
        candidates.append(free)
        owners.append(torch.full(free.shape, index))
    everything, owner = torch.cat(candidates), torch.cat(owners)
    count = round(ratio * sum(place.width for place in ranking.places))
    gone = owner[torch.argsort(everything, stable=True)[:count]].bincount(minlength=len(ranking.places)).tolist()
    return [place.width - lost for place, lost in zip(ranking.places, gone, strict=True)]


def _least(width: int, options: PruneOptions) -> int:
    return min(width, options.round_to)


def _remove_and_report(
    net: nn.Module, size: tuple[int, int], ratio: float, removed: dict[str, list[int]]
) -> PruneReport:
    parameters, macs, before = count_parameters(net), count_macs(net, size), channel_plan(net)
    remove_channels(net, size, removed)
    after = channel_plan(net)
    # a batch normalisation has as many channels as the layer before it: one number says both
    widths = {name: (before[name][0], after[name][0]) for name in before if len(before[name]) > 1}
    return PruneReport(ratio, (parameters, count_parameters(net)), (macs, count_macs(net, size)), widths)
