"""The channel plan: how wide each layer of a network is, so that a pruned one can be built again without pickle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from torch import Tensor, nn

from edgeseg_runtime.errors import CheckpointError

Plan = dict[str, list[int]]
"""Layer's name → [outputs, inputs, groups] of a convolution, [outputs, inputs] of a linear layer, [channels] of a
normalisation."""
NORMS = (nn.BatchNorm2d, nn.LayerNorm)
SIZED = (nn.Conv2d, nn.Linear, *NORMS)
"""The layers that a plan can resize."""
Sized: TypeAlias = nn.Conv2d | nn.Linear | nn.BatchNorm2d | nn.LayerNorm


def channel_plan(net: nn.Module) -> Plan:
    """Return the widths of every convolution, linear layer and normalisation in `net`, as plain JSON values."""
    return {name: _widths(layer) for name, layer in net.named_modules() if isinstance(layer, SIZED)}


def resize_channels(net: nn.Module, plan: Mapping[str, Sequence[int]]) -> None:
    """Give a freshly built `net` the widths of a plan, in place. Layers that get another width are left without values.

    Layers that the plan does not name stay as they are. Raises CheckpointError naming the layer when the plan does
    not fit; the net is then unchanged.
    """
    layers = dict(net.named_modules())
    changes = []
    for name, widths in plan.items():
        layer = layers.get(name)
        if not isinstance(layer, SIZED):
            raise CheckpointError(f"the channel plan names the layer {name!r}, which this network does not have")
        _check(name, layer, widths)
        if list(widths) != _widths(layer):
            changes.append((layer, widths))
    for layer, widths in changes:
        _resize(layer, widths)


def _widths(layer: Sized) -> list[int]:
    if isinstance(layer, nn.Conv2d):
        return [layer.out_channels, layer.in_channels, layer.groups]
    if isinstance(layer, nn.Linear):
        return [layer.out_features, layer.in_features]
    if isinstance(layer, nn.LayerNorm):
        return list(layer.normalized_shape)
    return [layer.num_features]


def _check(name: str, layer: Sized, widths: Sequence[int]) -> None:
    """A plan comes from a file: it may only narrow layers, so that none can ask for memory without end."""
    built = _widths(layer)
    whole = isinstance(widths, Sequence) and all(type(width) is int for width in widths)
    if not whole or len(widths) != len(built) or any(not 1 <= new <= old for new, old in zip(widths, built)):  # noqa: B905 - compared just before
        raise CheckpointError(
            f"the channel plan gives the layer {name!r} the widths {widths}; this network has {built}, which pruning "
            "only makes smaller"
        )
    if isinstance(layer, nn.Conv2d) and (widths[0] % widths[2] or widths[1] % widths[2]):
        raise CheckpointError(
            f"the channel plan gives the layer {name!r} {widths[2]} groups, which do not divide its {widths[1]} inputs "
            f"and {widths[0]} outputs"
        )


def _resize(layer: Sized, widths: Sequence[int]) -> None:
    shape: tuple[int, ...]
    if isinstance(layer, nn.Conv2d):
        layer.out_channels, layer.in_channels, layer.groups = widths
        shape = (widths[0], widths[1] // widths[2], *layer.kernel_size)
    elif isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = widths
        shape = (widths[0], widths[1])
    elif isinstance(layer, nn.LayerNorm):
        layer.normalized_shape = shape = tuple(widths)
    else:
        (layer.num_features,) = shape = (widths[0],)
        for name in ("running_mean", "running_var"):
            _replace(layer, name, shape)
    _replace(layer, "weight", shape)
    _replace(layer, "bias", shape if isinstance(layer, NORMS) else shape[:1])


def _replace(layer: nn.Module, name: str, shape: tuple[int, ...]) -> None:
    """Put zeros of another shape in the place of a parameter or buffer, if the layer has it."""
    old = getattr(layer, name)
    if isinstance(old, Tensor):
        new = old.new_zeros(shape)
        setattr(layer, name, nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new)
