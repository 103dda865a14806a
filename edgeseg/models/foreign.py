"""Weights that another program wrote: read without running code, mapped by name, with a report of what became of each.

Files of trunks and of whole networks fit alike: wrappers in front of the names (`module.`, `model.`) are taken off, and
the part of the network that most of the tensors belong to is found.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from edgeseg.models.megvii_shufflenet import is_megvii, to_torchvision
from edgeseg_runtime.errors import CheckpointError

SUFFIXES = (".safetensors", ".pt", ".pth")
WRAPPERS = ("module.", "_orig_mod.", "model.", "net.")
"""What training code puts in front of every name."""
TRUNKS = ("", "features.", "backbone.", "encoder.")
"""What a file may call the trunk that it holds."""
NESTED = ("state_dict", "model_state_dict", "model", "net")
"""Keys under which checkpoints keep their tensors."""
SHOWN = 3


@dataclass(frozen=True)
class MappingReport:
    """What became of the tensors of a file."""

    used: tuple[str, ...]
    """The network's tensors that the file gave."""
    missing: tuple[str, ...]
    """The network's tensors that it did not."""
    unexpected: tuple[str, ...]
    """The file's tensors that the network has no place for."""
    mismatched: tuple[str, ...]
    """`name file-shape≠own-shape` of those whose name is right but whose shape is not."""

    def __str__(self) -> str:
        """Return one line, naming the first of each kind of trouble."""
        parts = [f"{len(self.used)} tensors used"]
        for count, what in ((self.missing, "missing"), (self.unexpected, "unexpected"), (self.mismatched, "misfits")):
            if count:
                more = f", and {len(count) - SHOWN} more" if len(count) > SHOWN else ""
                parts.append(f"{len(count)} {what} ({', '.join(count[:SHOWN])}{more})")
        return "; ".join(parts)


def compare(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> MappingReport:
    """Return what of a file's tensors has a place, of its own name and shape, among those of a network."""
    misfits = [name for name in own if name in state and state[name].shape != own[name].shape]
    return MappingReport(
        tuple(name for name in own if name in state and name not in misfits),
        tuple(name for name in own if name not in state),
        tuple(name for name in state if name not in own),
        tuple(f"{name} {_shape(state[name])}≠{_shape(own[name])}" for name in misfits),
    )


def load_foreign(net: nn.Module, path: Path) -> MappingReport:
    """Give `net` the weights of a .safetensors, .pt or .pth file as far as they fit, in place.

    Raises CheckpointError when the file cannot be read or gives no part of the network, such as its encoder, at least
    half of its values: a few names may agree by chance.
    """
    state = read_tensors(path)
    if is_megvii(state):
        state = to_torchvision(state)
    own = net.state_dict()
    parts = _parts(net)
    names = best_names(state, own, parts)
    found = {new: state[old] for old, new in names.items() if new in own}
    report = compare(own, found)
    fitting = {name: found[name] for name in report.used}
    if not _fills_a_part(fitting, own, parts):
        raise CheckpointError(
            f"{path} does not fit: {len(fitting)} of its {len(state)} tensors have a place, less than half of every "
            f"part of the network; its first is {next(iter(state))!r}, the network's {next(iter(own))!r}"
        )
    net.load_state_dict(fitting, strict=False)  # copies into the network's own type, so half precision is read too
    return replace(
        report,
        missing=tuple(name for name in report.missing if not _counts_batches(name)),
        unexpected=tuple(old for old, new in names.items() if new not in own and not _counts_batches(old)),
    )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a file's tensors by name, whatever else is around them. Raises CheckpointError.

    `.pt` and `.pth` are read by PyTorch's restricted unpickler, which makes tensors and plain containers only.
    """
    if not path.is_file():
        raise CheckpointError(f"there are no weights at {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # whose text advises to read it with code
        raise CheckpointError(f"{path} holds more than tensors and plain containers, or is no weights file") from error
    except (SafetensorError, OSError, RuntimeError, EOFError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(f"{path} cannot be read as weights: {reason}") from error
    if found := _named_tensors(loaded):
        return found
    raise CheckpointError(f"{path} holds no tensors by name, nor under {', '.join(NESTED)}")


def _named_tensors(loaded: Any) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name: those kept apart first, beside which may lie a tensor of a score."""
    if not isinstance(loaded, Mapping):
        return {}
    inner = (_named_tensors(loaded.get(key)) for key in NESTED)
    own = {str(name): value for name, value in loaded.items() if isinstance(value, Tensor)}
    return next(filter(None, inner), own)


def best_names(state: Mapping[str, Tensor], own: Mapping[str, Tensor], parts: Sequence[str]) -> dict[str, str]:
    """Return the network's name for each name in the file: the reading of them under which most weights fit.

    `parts` are what names of tensors that belong together begin with in the network.
    """
    bare = {name: _unwrapped(name) for name in state}
    readings = (
        {old: inside + name.removeprefix(trunk) for old, name in bare.items() if name.startswith(trunk)}
        | {old: old for old, name in bare.items() if not name.startswith(trunk)}
        for inside in ("", *parts)
        for trunk in TRUNKS
    )
    return max(readings, key=lambda names: _fitting(names, state, own))  # the first, and so plainest, of equals


def _fitting(names: Mapping[str, str], state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> int:
    return sum(new in own and own[new].shape == state[old].shape for old, new in names.items() if state[old].ndim > 0)


def _parts(net: nn.Module) -> list[str]:
    """Return what the names of the network's children begin with, and of its trunk, if it says that it lies deeper."""
    children = dict.fromkeys(f"{name.partition('.')[0]}." for name in net.state_dict())
    trunk = getattr(net, "trunk", None)
    return [*children, *([] if trunk is None else [f"{trunk}."])]


def _fills_a_part(fitting: Mapping[str, Tensor], own: Mapping[str, Tensor], parts: Sequence[str]) -> bool:
    for part in parts:
        whole = sum(value.numel() for name, value in own.items() if name.startswith(part))
        given = sum(value.numel() for name, value in fitting.items() if name.startswith(part))
        if given > 0 and 2 * given >= whole:
            return True
    return False


def _unwrapped(name: str) -> str:
    while wrapper := next((part for part in WRAPPERS if name.startswith(part)), None):
        name = name.removeprefix(wrapper)
    return name


def _counts_batches(name: str) -> bool:
    """Tell whether a tensor only counts steps, which old files lack and nothing depends on."""
    return name.endswith("num_batches_tracked")


def _shape(value: Tensor) -> str:
    return "×".join(map(str, value.shape))
