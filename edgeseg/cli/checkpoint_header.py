"""The description in a checkpoint's header, read without torch or safetensors.

A .safetensors file starts with the header's length in eight bytes, little-endian, then the header itself in JSON
(https://huggingface.co/docs/safetensors/#format).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from edgeseg_runtime.errors import CheckpointError

HEADER_KEY = "edgeseg"
LARGEST = 100_000_000
"""Bytes of the longest header that the format allows."""


def read_header(path: Path) -> dict[str, Any]:
    """Return {model, contract, epoch, metrics, config, …, parameters} of a checkpoint. Raises CheckpointError."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        if not 2 <= length <= min(LARGEST, size - 8):
            raise CheckpointError(f"{path} is damaged or no .safetensors file")
        text = handle.read(length)
    try:
        header = json.loads(text)
        described = json.loads(header.get("__metadata__", {}).get(HEADER_KEY, "null"))
        counts = [math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__"]
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged: its header is not what the format says") from error
    if not isinstance(described, dict):
        raise CheckpointError(f"{path} holds weights but not the description that edgeseg writes with them")
    return described | {"parameters": sum(counts)}
