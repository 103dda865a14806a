"""Events as JSON that every reader takes."""

from __future__ import annotations

import json
import math
from typing import Any

from edgeseg_runtime.events import Event


def event_json(event: Event, **more: str) -> str:
    """Return one line of strict JSON. NaN and infinity become null; what JSON does not know becomes its text."""
    return json.dumps(_plain({**event.as_dict(), **more}), ensure_ascii=False).encode("utf-8", "replace").decode()


def _plain(value: Any, depth: int = 0) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if depth < 8 and isinstance(value, dict):
        return {str(key): _plain(inner, depth + 1) for key, inner in value.items()}
    if depth < 8 and isinstance(value, (list, tuple)):
        return [_plain(inner, depth + 1) for inner in value]
    return str(value)
