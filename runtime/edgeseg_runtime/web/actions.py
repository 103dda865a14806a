"""What changes the stream: by POST only, one at a time, answered when it is done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from aiohttp import web

from edgeseg_runtime.errors import EdgesegError
from edgeseg_runtime.web import inputs
from edgeseg_runtime.web.answers import plain_json
from edgeseg_runtime.web.board import Board
from edgeseg_runtime.web.calls import Caller, CallerBusy
from edgeseg_runtime.web.controls import Controls
from edgeseg_runtime.web.options import WebOptions
from edgeseg_runtime.web.refusals import Refused

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Actions:
    """Each method answers one route."""

    def __init__(self, controls: Controls, caller: Caller, board: Board, options: WebOptions) -> None:
        self._controls, self._caller, self._board, self._options = controls, caller, board, options

    async def model(self, request: web.BaseRequest) -> web.Response:
        """Switch to the model `{"name"}`."""
        models = _there(self._controls.models, "this stream has one model only")
        name = (await self._read(request, "name"))["name"]
        if not isinstance(name, str) or name not in await self._call(models.names):
            raise Refused(400, "name must be one of the models that the viewer lists")
        await self._call(lambda: models.switch(name))
        return plain_json({"current": await self._call(models.current)})

    async def record(self, request: web.BaseRequest) -> web.Response:
        """Begin or end recording, by `{"recording"}`."""
        record = _there(self._controls.record, "this stream does not record")
        wanted = inputs.boolean((await self._read(request, "recording"))["recording"], "recording")
        await self._call(record.start if wanted else record.stop)
        return plain_json({"recording": await self._call(record.recording)})

    async def snapshot(self, request: web.BaseRequest) -> web.Response:
        """Keep a picture of `{"camera"}` on the device."""
        snapshot = _there(self._controls.snapshot, "this stream keeps no pictures")
        camera = inputs.text((await self._read(request, "camera"))["camera"], "camera", empty=True)
        return plain_json({"name": await self._call(lambda: snapshot.take(camera))})

    async def zones(self, request: web.BaseRequest) -> web.Response:
        """Put `{"zones"}` in place of all zones."""
        control = _there(self._controls.zones, "this stream watches no zones")
        shapes = inputs.zones((await self._read(request, "zones"))["zones"])
        await self._call(lambda: control.replace(shapes))
        return plain_json({"zones": [dict(zone) for zone in await self._call(control.zones)]})

    async def _read(self, request: web.BaseRequest, field: str) -> dict[str, Any]:
        try:
            value = await asyncio.wait_for(
                inputs.read_json(request, self._options.body_bytes), self._options.request_seconds
            )
        except asyncio.TimeoutError:
            raise Refused(408, "the body did not come in time") from None
        if set(value) != {field}:
            raise Refused(400, f"the body must have the field {field}, and no other")
        return value

    async def _call(self, function: Callable[[], T]) -> T:
        try:
            return await self._caller.call(function, self._options.control_seconds)
        except CallerBusy:
            raise Refused(503, "other controls are still at work", {"Retry-After": "5"}) from None
        except asyncio.TimeoutError:
            raise Refused(504, "this is not done yet; the page will show when it is") from None
        except EdgesegError as error:
            raise Refused(409, str(error)) from error
        except Exception as error:
            _log.exception("a control failed")  # a bug: its traceback is wanted
            raise Refused(500, "the control failed; the stream's log says why") from error
        finally:
            self._board.refresh()


def _there(control: T | None, line: str) -> T:
    if control is None:
        raise Refused(404, line)
    return control
