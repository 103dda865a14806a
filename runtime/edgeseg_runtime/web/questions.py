"""What programs ask: the status, the events, the metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from aiohttp import web

from edgeseg_runtime.live.status import Status
from edgeseg_runtime.web.answers import body, plain_json
from edgeseg_runtime.web.board import ASK_SECONDS
from edgeseg_runtime.web.calls import Caller, CallerBusy
from edgeseg_runtime.web.event_log import EventLog
from edgeseg_runtime.web.refusals import Refused

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Questions:
    """Each method answers one route."""

    def __init__(
        self,
        status: Callable[[], Status] | None,
        metrics: Callable[[], str] | None,
        events: EventLog,
        caller: Caller,
    ) -> None:
        self._status, self._metrics, self._events, self._caller = status, metrics, events, caller

    async def status(self, request: web.BaseRequest) -> web.Response:  # noqa: ARG002
        """Return all figures of the stream."""
        ask = self._status
        if ask is None:
            raise Refused(404, "this stream tells no status")
        return await self._call(lambda: plain_json(ask().as_dict()))

    async def metrics(self, request: web.BaseRequest) -> web.Response:  # noqa: ARG002
        """Return the same in Prometheus' text format."""
        ask = self._metrics
        if ask is None:
            raise Refused(404, "this stream tells no metrics")
        return await self._call(lambda: body(ask().encode(), METRICS_TYPE))

    async def events(self, request: web.BaseRequest) -> web.Response:
        """Return the last events, those above `?after=` where it is given."""
        after = request.query.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) <= 18):
            raise Refused(400, "after must be the number of an event")
        return plain_json({"events": self._events.after(int(after))})

    async def _call(self, function: Callable[[], T]) -> T:
        try:
            return await self._caller.call(function, ASK_SECONDS)
        except (CallerBusy, asyncio.TimeoutError):
            raise Refused(503, "the stream does not say how it is", {"Retry-After": "2"}) from None
        except Exception as error:
            _log.exception("the stream's state could not be asked for")
            raise Refused(500, "the stream's state cannot be read; its log says why") from error
