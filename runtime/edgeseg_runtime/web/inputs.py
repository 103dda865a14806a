"""What pages and programs send, checked before anything is done with it."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import hdrs, web

from edgeseg_runtime.web.controls import ZoneShape
from edgeseg_runtime.web.refusals import Refused

NAME_LETTERS = 64
ZONES = 64
CORNERS = 64


async def read_json(request: web.BaseRequest, limit: int) -> dict[str, Any]:
    """Return the object in a request's body. Raises Refused for another type of content, or more than `limit` bytes."""
    kind = request.headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower()
    # a form of another site cannot send this type without asking first, which is never answered
    if kind != "application/json" or hdrs.CONTENT_ENCODING in request.headers:
        raise Refused(415, "the body must be JSON, with Content-Type: application/json and no encoding")
    if (request.content_length or 0) > limit:
        raise Refused(413, f"the body must be {limit} bytes at most")
    data = bytearray()
    async for part in request.content.iter_any():
        data += part
        if len(data) > limit:
            raise Refused(413, f"the body must be {limit} bytes at most")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is no JSON") from None
    if not isinstance(value, dict):
        raise Refused(400, "the body must be a JSON object")
    return value


def text(value: Any, field: str, *, empty: bool = False) -> str:
    """Return a name. Raises Refused unless it is printable text of a line, not too long."""
    good = isinstance(value, str) and len(value) <= NAME_LETTERS and value.isprintable() and value == value.strip()
    if not good or not (value or empty):
        raise Refused(400, f"{field} must be text of {0 if empty else 1} to {NAME_LETTERS} printable characters")
    return str(value)


def boolean(value: Any, field: str) -> bool:
    """Return true or false. Raises Refused for anything else."""
    if not isinstance(value, bool):
        raise Refused(400, f"{field} must be true or false")
    return value


def zones(value: Any) -> list[ZoneShape]:
    """Return the zones. Raises Refused unless every one is whole, inside the picture, and named differently."""
    if not isinstance(value, list) or len(value) > ZONES:
        raise Refused(400, f"zones must be a list of {ZONES} at most")
    shapes = [_zone(one) for one in value]
    if len({(shape["camera"], shape["name"]) for shape in shapes}) != len(shapes):
        raise Refused(400, "the zones of a camera must have different names")
    return shapes


def _zone(value: Any) -> ZoneShape:
    if not isinstance(value, dict) or set(value) != {"name", "camera", "points"}:
        raise Refused(400, "a zone must have name, camera and points, and nothing else")
    points = value["points"]
    if not isinstance(points, list) or not 3 <= len(points) <= CORNERS:
        raise Refused(400, f"a zone must have 3 to {CORNERS} points")
    return ZoneShape(
        name=text(value["name"], "a zone's name"),
        camera=text(value["camera"], "a zone's camera", empty=True),
        points=[_point(point) for point in points],
    )


def _point(value: Any) -> list[float]:
    if not isinstance(value, list) or len(value) != 2 or not all(map(_is_share, value)):
        raise Refused(400, "a zone's points must be [x, y] pairs of numbers in 0..1")
    return [float(number) for number in value]


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1  # which NaN is not
