"""ShuffleNetV2 weights in Megvii's layout, made to fit torchvision's network.

Both compute the same kind of network but shuffle differently. Megvii's block passes its input's even channels on and
convolves the odd ones; torchvision's passes the first half on, convolves the second and interleaves the two. So which
channels of a layer go how deep differs, and weights that fit by shape alone compute nonsense. Here the channels are
renumbered so that each is passed on as often as it was, and the first layer is made to take RGB as ImageNet weights
usually do: Megvii's takes BGR from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from edgeseg_runtime.contract import IMAGENET_MEAN, IMAGENET_STD
from edgeseg_runtime.errors import CheckpointError

MARK = "branch_main"
"""Part of the names of this layout that no other has."""
Channel: TypeAlias = tuple[int, int]
"""A channel by the block (-1: the passed-on branch of the first one) and the row of the layer that made it."""


def is_megvii(state: Mapping[str, Tensor]) -> bool:
    """Tell whether the names are Megvii's."""
    return any(MARK in name for name in state)


def to_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the trunk's weights under torchvision's names, for RGB with ImageNet's normalisation.

    At the picture's border the zeros of the padding then stand for ImageNet's mean colour in place of black. Raises
    CheckpointError for a trunk whose halves are not equally wide, which torchvision's cannot be.
    """
    converted = {
        f"conv1.{name.removeprefix('first_conv.')}": value
        for name, value in state.items()
        if name.startswith("first_conv.")
    }
    weight = converted["conv1.0.weight"].flip(1)
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    converted["conv1.0.weight"] = weight * std
    converted["conv1.1.running_mean"] = converted["conv1.1.running_mean"] - (weight * mean).sum(dim=(1, 2, 3))
    order = torch.arange(len(weight))
    for stage in ("stage2", "stage3", "stage4"):
        part = {name.removeprefix(f"{stage}."): value for name, value in state.items() if name.startswith(f"{stage}.")}
        values, order = _stage(part, order)
        converted |= {f"{stage}.{name}": value for name, value in values.items()}
    return converted


def _stage(state: Mapping[str, Tensor], order: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Convert a stage whose input's channel i is Megvii's channel `order[i]`; return it with the order it leaves."""
    blocks = 1 + max(int(name.partition(".")[0]) for name in state)
    half = state["0.branch_proj.2.weight"].shape[0]
    if state["0.branch_main.5.weight"].shape[0] != half:
        raise CheckpointError("this ShuffleNetV2 passes on fewer channels than it convolves; torchvision's has halves")
    theirs = _made(half, blocks, interleaved=False)
    ours = _made(half, blocks, interleaved=True)
    twin = _twins(theirs, ours)
    values = _branch(state, "0.branch_proj", "0.branch1", order, _rows(twin, -1, half))
    for block in range(blocks):
        if block > 0:  # what the convolutions read, in both numberings
            their_places = {channel: place for place, channel in enumerate(theirs[block - 1][1::2])}
            order = torch.tensor([their_places[twin[channel]] for channel in ours[block - 1][half:]])
        values |= _branch(state, f"{block}.branch_main", f"{block}.branch2", order, _rows(twin, block, half))
    last = {channel: place for place, channel in enumerate(theirs[-1])}
    return values, torch.tensor([last[twin[channel]] for channel in ours[-1]])


def _made(half: int, blocks: int, *, interleaved: bool) -> list[list[Channel]]:
    """Return the channels in the order in which each block gives them."""
    passed = [(-1, row) for row in range(half)]
    given: list[list[Channel]] = []
    for block in range(blocks):
        fresh = [(block, row) for row in range(half)]
        pairs = [channel for pair in zip(passed, fresh, strict=True) for channel in pair]
        given.append(pairs if interleaved else passed + fresh)
        passed = given[-1][:half] if interleaved else given[-1][::2]
    return given


def _twins(theirs: Sequence[Sequence[Channel]], ours: Sequence[Sequence[Channel]]) -> dict[Channel, Channel]:
    """Return, for each of our channels, the one of theirs that is made in the same block and passed on as often."""
    lives = []
    for given in (theirs, ours):
        seen: dict[Channel, int] = {}
        for channels in given:
            for channel in channels:
                seen[channel] = seen.get(channel, 0) + 1
        lives.append(sorted(seen, key=lambda channel: (channel[0], seen[channel], channel[1])))
    return dict(zip(lives[1], lives[0], strict=True))


def _rows(twin: Mapping[Channel, Channel], block: int, half: int) -> Tensor:
    return torch.tensor([twin[block, row][1] for row in range(half)])


def _branch(state: Mapping[str, Tensor], old: str, new: str, inputs: Tensor, outputs: Tensor) -> dict[str, Tensor]:
    """Rename a branch; its first layer reads channels in the order `inputs`, its last writes them in that of `outputs`.

    The layers between keep their own order.
    """
    part = {name.removeprefix(f"{old}."): value for name, value in state.items() if name.startswith(f"{old}.")}
    last = max(int(name.partition(".")[0]) for name in part)  # batch normalisation after the last convolution
    found = {}
    for name, value in part.items():
        number = int(name.partition(".")[0])
        if value.ndim == 4 and number == 0:
            value = value[inputs] if value.shape[1] == 1 else value[:, inputs]
        elif value.ndim == 1 and number == 1 and part["0.weight"].shape[1] == 1:  # of a depthwise convolution
            value = value[inputs]
        elif value.ndim == 4 and number == 2:
            value = value[:, inputs]
        if value.ndim > 0 and number >= last - 1:
            value = value[outputs]
        found[f"{new}.{name}"] = value
    return found
