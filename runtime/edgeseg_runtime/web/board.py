"""The state of the stream as all pages are told it: asked for once a second, while somebody looks."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from edgeseg_runtime.live.status import Status
from edgeseg_runtime.web.calls import Caller, CallerBusy
from edgeseg_runtime.web.controls import Controls
from edgeseg_runtime.web.hub import FrameHub
from edgeseg_runtime.web.options import WebOptions

_log = logging.getLogger(__name__)

ASK_SECONDS = 2.0
"""How long the stream may take to say how it is."""


class Board:
    """Asks the stream and its controls how they are, and tells everybody who looks. Used by the server's loop."""

    def __init__(
        self,
        hub: FrameHub,
        status: Callable[[], Status] | None,
        controls: Controls,
        caller: Caller,
        options: WebOptions,
    ) -> None:
        self._hub, self._status, self._controls, self._caller, self._options = hub, status, controls, caller, options
        self._lookers: set[asyncio.Event] = set()
        self._ask = asyncio.Event()
        self.number = 0
        """Grows with every report; 0: there is none yet."""
        self.report: dict[str, Any] = {}
        """Plain JSON values."""

    @contextmanager
    def looking(self, changed: asyncio.Event) -> Iterator[None]:
        """Have `changed` set at every new report, for as long as the body runs."""
        self._lookers.add(changed)
        self._ask.set()
        try:
            yield
        finally:
            self._lookers.discard(changed)

    def refresh(self) -> None:
        """Ask again now, because something was changed."""
        self._ask.set()

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            await self._ask.wait()
            self._ask.clear()
            while self._lookers:
                self.report = await self._collect()
                self.number += 1
                for changed in self._lookers:
                    changed.set()
                try:
                    await asyncio.wait_for(self._ask.wait(), self._options.state_seconds)
                except asyncio.TimeoutError:
                    continue
                self._ask.clear()

    async def _collect(self) -> dict[str, Any]:
        problem = None
        status: dict[str, Any] | None = None
        controls: dict[str, Any] | None = None
        try:
            status, controls = await self._caller.call(self._questions, ASK_SECONDS)
        except (asyncio.TimeoutError, CallerBusy):
            problem = "the stream does not say how it is"
        except Exception:
            _log.exception("the stream's state could not be asked for")
            problem = "the stream's state cannot be read"
        return {"cameras": list(self._hub.cameras()), "status": status, "controls": controls, "problem": problem}

    def _questions(self) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """Ask, in the caller's thread."""
        status = None if self._status is None else self._status().as_dict()
        controls = controls_state(self._controls)
        json.dumps((status, controls), allow_nan=False)  # what is no JSON shall fail here and not for every page
        return status, controls


def controls_state(controls: Controls) -> dict[str, Any]:
    """Return what can be controlled and how it stands, null for what is not there."""
    models, record, zones = controls.models, controls.record, controls.zones
    return {
        "models": None if models is None else {"names": list(models.names()), "current": models.current()},
        "record": None if record is None else {"recording": record.recording()},
        "snapshot": controls.snapshot is not None,
        "zones": None if zones is None else [dict(zone) for zone in zones.zones()],
    }
