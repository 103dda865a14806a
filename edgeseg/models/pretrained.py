"""ImageNet weights of torchvision's backbones, through torchvision's own download and cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from urllib.error import URLError

from torch import nn
from torch.hub import get_dir

from edgeseg_runtime.errors import CheckpointError

Weights = Literal["none", "imagenet"]


def load_backbone(backbone: nn.Module, weights: Any, prefix: str = "") -> None:
    """Load the part of a torchvision checkpoint whose names start with `prefix` into `backbone`.

    `weights` is a member of a torchvision weights enum. Raises CheckpointError when the file is neither cached nor to
    be downloaded, or does not hold what the backbone needs.
    """
    cached = Path(get_dir()) / "checkpoints" / Path(weights.url).name
    try:
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (URLError, OSError) as error:
        raise CheckpointError(
            f"ImageNet weights could not be downloaded ({error}); put {weights.url} at {cached}, or use --weights none"
        ) from error
    except RuntimeError as error:  # torch.hub's word for a download whose hash is wrong
        raise CheckpointError(f"ImageNet weights from {weights.url} are damaged: {error}") from error
    wanted = backbone.state_dict()
    # Blocks beyond those the backbone uses (a classifier, a last expansion) are left out; nothing may be missing.
    part = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    # Files of 2017 lack the counters of batches, which nothing here depends on; load_state_dict sets those.
    lacking = sorted(name for name in wanted if name not in part and not name.endswith("num_batches_tracked"))
    if lacking:
        raise CheckpointError(f"{cached} lacks {lacking[0]} and {len(lacking) - 1} more tensors of the backbone")
    backbone.load_state_dict({name: part[name] for name in wanted if name in part})
