"""A trained network made to answer for another number of classes: all but its last layers stays."""

from __future__ import annotations

import torch
from torch import nn

from edgeseg.compress.channels import SIZED, Plan, channel_plan, resize_channels
from edgeseg.training.checkpoint import Checkpoint
from edgeseg.training.networks import build_network


def plan_for_classes(start: Checkpoint, classes: int) -> Plan:
    """Return the channel plan of a checkpoint's network for that many classes; empty if it was not pruned."""
    known, size = len(start.contract.labels), start.contract.size
    if not start.channels or known == classes:
        return start.channels
    with torch.device("meta"):
        before, after = (channel_plan(build_network(start.model, count, size)) for count in (known, classes))
    # of a layer whose outputs are the classes, what pruning took are inputs
    return {
        name: widths if before[name] == after[name] else [after[name][0], *widths[1:]]
        for name, widths in start.channels.items()
    }


def for_classes(net: nn.Module, start: Checkpoint, classes: int) -> tuple[nn.Module, list[str]]:
    """Return a network for `classes` classes with the weights of `net`, and the names of the layers that are new.

    `net` is that of the checkpoint `start`. The new layers are random; the network is in training mode.
    """
    other = build_network(start.model, classes, start.contract.size)
    unpruned = {name: value.shape for name, value in other.state_dict().items()}
    resize_channels(other, plan_for_classes(start, classes))
    values, own = net.state_dict(), other.state_dict()
    anew = list(dict.fromkeys(name.rpartition(".")[0] for name in own if own[name].shape != values[name].shape))
    for name in anew:
        layer = other.get_submodule(name)
        resized = any(own[key].shape != unpruned[key] for key in own if key.rpartition(".")[0] == name)
        if resized and isinstance(layer, SIZED):
            layer.reset_parameters()  # it holds nothing; others keep the start that their architecture gives them
    kept = {name: value for name, value in values.items() if name.rpartition(".")[0] not in anew}
    other.load_state_dict(kept, strict=False)
    return other, anew
