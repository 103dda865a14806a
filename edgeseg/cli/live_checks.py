"""What can be refused before the model is loaded, which takes seconds."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg.cli.live_config import LiveConfig
from edgeseg.cli.outputs import OutputConfig
from edgeseg_runtime.errors import ConfigError, OutputError
from edgeseg_runtime.extras import require

if TYPE_CHECKING:
    from edgeseg_runtime.address import Address
    from edgeseg_runtime.capture.options import CaptureOptions
    from edgeseg_runtime.preprocess import Image
    from edgeseg_runtime.zones.file import ZoneMap


@dataclass(frozen=True)
class Checked:
    """What the flags name, read and found good."""

    capture: CaptureOptions
    web: Address | None
    token: str | None
    metrics: Address | None
    zones: ZoneMap
    remarks: list[str]
    """On the zones."""
    background: Image | None


def check(live: LiveConfig, outputs: OutputConfig, zones_file: Path | None) -> Checked:
    """Read and try what does not depend on the model. Raises UserError."""
    from edgeseg_runtime.segmenter import model_file

    for other in live.viewer.also:
        model_file(other)
    capture = live.cameras.options()
    web, metrics = _addresses(live.viewer.web, live.outward.metrics)
    token = live.viewer.token() if web is not None else None
    zones, remarks = _zones(zones_file, drawn=web is not None)
    background = None
    if live.privacy.background not in (None, "blur"):
        from edgeseg_runtime.sources.images import read_picture

        background = read_picture(Path(live.privacy.background))
    if outputs.virtual_camera is not None:
        from edgeseg_runtime.privacy.virtual_camera import VirtualCameraSink

        VirtualCameraSink(outputs.virtual_camera).close()
    return Checked(capture, web, token, metrics, zones, remarks, background)


def _addresses(web: str | None, metrics: str | None) -> tuple[Address | None, Address | None]:
    """Return where to listen, found free: together, so that one address for both is noticed."""
    if web is None and metrics is None:
        return None, None
    if web is not None:
        require("aiohttp", "web")
    from edgeseg_runtime.address import Address

    with ExitStack() as held:
        found = {}
        for flag, text in (("--web", web), ("--metrics", metrics)):
            address = None if text is None else Address.parse(text)
            if address is not None:
                held.enter_context(_bound(flag, address))
            found[flag] = address
    return found["--web"], found["--metrics"]


def _bound(flag: str, address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(1)
    except OSError as error:
        listener.close()
        raise OutputError(
            f"{flag} cannot listen on {address.host} port {address.port}: {error.strerror}; "
            "choose another port, or 0 for any free one"
        ) from error
    return listener


def _zones(path: Path | None, *, drawn: bool) -> tuple[ZoneMap, list[str]]:
    """Read the zones; a file that is not there yet is one that the viewer will write."""
    if path is None:
        return {}, []
    from edgeseg_runtime.zones.file import check_can_save, load_zones

    if not drawn and not path.exists():
        raise ConfigError(f"--zones: there is no file {path}; with --web they can be drawn")
    zones = load_zones(path) if path.exists() else ({}, [])
    if drawn:
        check_can_save(path)
    return zones
