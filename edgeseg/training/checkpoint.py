"""Checkpoints: safetensors weights with the network's name, the Contract, metrics and settings in the file's header.

No pickle: reading a checkpoint runs no code.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from edgeseg import __version__
from edgeseg.models.foreign import compare
from edgeseg.training.networks import build_network
from edgeseg_export.deployable import Deployable
from edgeseg_export.instances.deployable import InstanceDeployable
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import CheckpointError
from edgeseg_runtime.files import write_bytes

HEADER_KEY = "edgeseg"
BEST, LAST = "best.safetensors", "last.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint says of itself."""

    model: str
    contract: Contract
    epoch: int
    metrics: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    channels: dict[str, list[int]] = field(default_factory=dict)
    """Shapes of the layers that were pruned, as `edgeseg.compress.channels` takes them; empty if none was."""
    quantized: bool = False
    """Whether the network holds the quantisers of quantisation-aware training."""

    def to_json(self) -> str:
        """Serialise for the file's header."""
        return json.dumps({"edgeseg": __version__, **asdict(self)}, ensure_ascii=False)


def save_checkpoint(path: Path, net: nn.Module, checkpoint: Checkpoint) -> None:
    """Write the weights and their description to `path` atomically."""
    state = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    # its `save_file` would make a file that nobody but the owner can read
    write_bytes(path, save(state, metadata={HEADER_KEY: checkpoint.to_json()}))


def checkpoint_file(path: Path) -> Path:
    """Return the checkpoint that `path` is, or the best one of the run folder it names. Raises CheckpointError."""
    if path.is_dir():
        if (path / BEST).is_file():
            return path / BEST
        raise CheckpointError(f"{path} holds no {BEST}; has a run finished its first epoch there?")
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint at {path}")
    if path.suffix != ".safetensors":
        raise CheckpointError(f"{path} is not a checkpoint; give a run folder or a .safetensors file")
    return path


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the description in a checkpoint's header. Raises CheckpointError."""
    if (found := find_description(path)) is None:
        raise CheckpointError(f"{path} holds weights but not the description that edgeseg writes with them")
    return found


def find_description(path: Path) -> Checkpoint | None:
    """Read the description in the header of a file of weights, None if another program wrote it.

    Raises CheckpointError when the file is damaged.
    """
    if path.suffix != ".safetensors":
        return None
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(HEADER_KEY)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if header is None:
        return None
    raw = json.loads(header)
    raw.pop("edgeseg")  # the version that wrote it: for people
    return Checkpoint(**raw | {"contract": Contract.from_dict(raw["contract"])})


def load_checkpoint(path: Path) -> tuple[nn.Module, Checkpoint]:
    """Rebuild the network of a checkpoint, in evaluation mode on the CPU. Raises CheckpointError."""
    checkpoint = read_checkpoint(path)
    net = build_network(checkpoint.model, len(checkpoint.contract.labels), checkpoint.contract.size)
    if checkpoint.channels:
        from edgeseg.compress.channels import resize_channels

        resize_channels(net, checkpoint.channels)
    if checkpoint.quantized:
        from edgeseg.compress.quantize import prepare_qat

        net = prepare_qat(net, checkpoint.contract)
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit {checkpoint.model}: {compare(net.state_dict(), state)}") from error
    return net.eval(), checkpoint


def load_deployable(path: Path, **changes: Any) -> tuple[Deployable | InstanceDeployable, Checkpoint]:
    """Rebuild a checkpoint's network within its Contract; `changes` replace fields of the contract (size, output)."""
    net, checkpoint = load_checkpoint(checkpoint_file(path))
    return in_contract(net, replace(checkpoint.contract, **changes)), checkpoint


def in_contract(net: nn.Module, contract: Contract) -> Deployable | InstanceDeployable:
    """Return a network of the contract's task as the module that is exported."""
    return (InstanceDeployable if contract.task == "instance" else Deployable)(net, contract)


def load_semantic(path: Path, **changes: Any) -> tuple[Deployable, Checkpoint]:
    """Do what `load_deployable` does where only classes of pixels will do. Raises CheckpointError for other tasks."""
    module, checkpoint = load_deployable(path, **changes)
    check_semantic(path, checkpoint)
    assert isinstance(module, Deployable)
    return module, checkpoint


def check_semantic(path: Path, checkpoint: Checkpoint) -> None:
    """Raise CheckpointError for a model that does not say for each pixel which class it is of."""
    if checkpoint.contract.task != "semantic":
        raise CheckpointError(f"{path} is {checkpoint.model}, which tells objects apart; this is for models of classes")
