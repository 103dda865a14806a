"""Where channels can be taken out of a network, and taking them out, over Torch-Pruning's dependency graph."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from edgeseg.compress.channels import NORMS, SIZED
from edgeseg.compress.importance import Member
from edgeseg.compress.macs import evaluating, example_input, layer_macs
from edgeseg.compress.stand_ins import InHeads, standing_in
from edgeseg.models.cost import count_macs
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.extras import require


@dataclass(frozen=True)
class Place:
    """Channels that run through the same layers: one can be removed, but only from all these layers at once."""

    name: str
    """A layer that makes them."""
    width: int
    macs: float
    """Multiply-accumulates of one picture that one of the channels takes in the layers that make it or read it."""
    members: list[Member]
    """Every layer that makes them."""
    heads: int = 1
    """Of attention: each has `width` channels, and a channel is removed from all of them."""

    def outputs(self, channels: Iterable[int]) -> list[int]:
        """Return the layer's outputs that the channels are."""
        return sorted(channel + head * self.width for channel in channels for head in range(self.heads))


def find_places(net: nn.Module, size: tuple[int, int]) -> list[Place]:
    """Return the places where `net`, given (height, width) inputs, can be made narrower.

    Left alone are the network's outputs, and channels that run through a layer which cannot give up single ones:
    convolutions in groups other than depthwise, and kinds of layers that a channel plan does not know.
    """
    with _traced(net, size) as graph:
        outputs = [node for node in graph.module2node.values() if not node.outputs]
        names = {layer: name for name, layer in net.named_modules()}
        macs, places = layer_macs(net, size), []
        for group in _groups(graph):
            root = group[0].dep.layer
            if not any(_fixed(graph, item, outputs) for item in group.items):
                heads = max(item.dep.layer.heads if isinstance(item.dep.layer, InHeads) else 1 for item in group.items)
                width = graph.get_out_channels(root) // heads
                cost = sum(_macs(graph, item, macs) for item in group.items) / width
                members = [_member(item, width) for item in group.items if _makes(graph, item)]
                places.append(Place(names[root], width, cost, members, heads))
        return places


def remove_channels(net: nn.Module, size: tuple[int, int], removed: Mapping[str, list[int]]) -> None:
    """Take the outputs numbered in `removed`, by the name of their layer, out of `net`, in place.

    Raises ConfigError when what is left does not run any more; `net` is then of no use.
    """
    layers = dict(net.named_modules())
    with _traced(net, size) as graph:
        for name, channels in removed.items():
            if channels:
                layer = layers[name]
                remove = graph.get_pruner_of_module(layer).prune_out_channels
                graph.get_pruning_group(layer, remove, channels).prune()
    _check_that_it_runs(net, size)


def _groups(graph: Any) -> Iterator[Any]:
    """Yield the groups of dependent layers, one for each layer whose channels meet others only side by side.

    A depthwise convolution of a concatenation ties together what several layers make. Judged as one, all that is taken
    out could come from a single one of them, which would be left empty.
    """
    for group in graph.get_all_groups():
        width = graph.get_out_channels(group[0].dep.layer)
        makers = {item.dep.layer: len(item.idxs) for item in group.items if _makes(graph, item)}
        parts = [layer for layer, count in makers.items() if count < width and not isinstance(layer, NORMS)]
        if not parts:
            yield group
        seen: set[nn.Module] = set()
        for layer in parts:
            if layer not in seen:
                remove = graph.get_pruner_of_module(layer).prune_out_channels
                part = graph.get_pruning_group(layer, remove, list(range(graph.get_out_channels(layer))))
                seen |= {item.dep.layer for item in part.items}
                yield part


@contextmanager
def with_gradients(net: nn.Module) -> Iterator[None]:
    """Put `net` in evaluation mode with gradients for every parameter, and back as it was."""
    learning = {name: parameter.requires_grad for name, parameter in net.named_parameters()}
    net.requires_grad_(True)
    try:
        with evaluating(net), torch.enable_grad():
            yield
    finally:
        for name, parameter in net.named_parameters():  # by name: pruning puts others in their place
            parameter.requires_grad_(learning[name])


@contextmanager
def _traced(net: nn.Module, size: tuple[int, int]) -> Iterator[Any]:
    """Yield the dependency graph of `net`; Torch-Pruning follows tensors by their gradients.

    Raises ConfigError for a network whose channels it cannot follow.
    """
    pruning = require("torch_pruning", "train")
    with standing_in(net), with_gradients(net):
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", "Maximum recursive depth")  # after it, what it finds is a guess
                graph = pruning.DependencyGraph().build_dependency(net, example_inputs=example_input(net, size))
        except (ArithmeticError, UserWarning) as error:  # where channels are reshaped into groups
            raise ConfigError(f"{_cannot(net)}: Torch-Pruning cannot follow its channels ({error})") from error
        yield graph


def _check_that_it_runs(net: nn.Module, size: tuple[int, int]) -> None:
    try:
        count_macs(net, size)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{_cannot(net)}: layers that must stay equally wide are tied unseen ({reason})") from error


def _cannot(net: nn.Module) -> str:
    return f"a {type(net).__name__} of this kind cannot be pruned"


def _member(item: Any, width: int) -> Member:
    return Member(item.dep.layer, list(item.idxs), [index % width for index in item.root_idxs])


def _makes(graph: Any, item: Any) -> bool:
    """Tell whether the layer has the channels as its outputs (a normalisation and a depthwise one: both)."""
    return isinstance(item.dep.layer, SIZED) and graph.is_out_channel_pruning_fn(item.dep.pruning_fn)


def _macs(graph: Any, item: Any, macs: Mapping[nn.Module, int]) -> float:
    """Return the multiply-accumulates of a layer for all channels of a group that it makes or reads."""
    layer = item.dep.layer
    if layer not in macs:
        return 0.0
    return macs[layer] * len(item.idxs) / _width(graph, item)


def _width(graph: Any, item: Any) -> int:
    """Return how many channels a layer makes or reads, whichever the group is about."""
    made = graph.is_out_channel_pruning_fn(item.dep.pruning_fn)
    return int(graph.get_out_channels(item.dep.layer) if made else graph.get_in_channels(item.dep.layer))


def _fixed(graph: Any, item: Any, outputs: list[Any]) -> bool:
    """Tell whether a layer of a group cannot lose single channels."""
    layer = item.dep.layer
    if item.dep.target in outputs and graph.is_out_channel_pruning_fn(item.dep.pruning_fn):
        return True
    if isinstance(layer, SIZED) and max(item.idxs) >= _width(graph, item):
        return True  # a mean over channels, or one map that weighs them all, was taken for channels of the same number
    if isinstance(layer, nn.Conv2d):
        return layer.groups > 1 and not layer.groups == layer.in_channels == layer.out_channels
    # whatever else holds weights along these channels would not be rebuilt from a plan
    return not isinstance(layer, (*SIZED, InHeads)) and any(True for _ in layer.parameters())
