"""Where the viewer and the metrics listen."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass

from edgeseg_runtime.errors import ConfigError

LOOPBACK = "127.0.0.1"
_FORM = re.compile(r"(?:(?P<host>\[[^\[\]]*\]|[^:\[\]]*):)?(?P<port>[0-9]{1,5})", re.ASCII)


@dataclass(frozen=True)
class Address:
    """An IP address of this machine and a port. Raises ConfigError for anything else."""

    host: str = LOOPBACK
    """IPv4 or IPv6, without brackets; `0.0.0.0` and `::` are all addresses of the machine."""
    port: int = 8080
    """0: any free one."""

    def __post_init__(self) -> None:
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            raise ConfigError(
                f"what is listened on is an IP address, got {self.host!r}; leave it out for this machine only, "
                "or give 0.0.0.0 for all its networks"
            ) from None
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"a port must be 0 to 65535, got {self.port}")

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `[HOST:]PORT`; an IPv6 address stands in brackets. Raises ConfigError."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise ConfigError(f"an address to listen on is [HOST:]PORT, like 8080 or 0.0.0.0:8080, got {text!r}")
        host = (found["host"] or LOOPBACK).strip("[]")
        return cls(LOOPBACK if host.lower() == "localhost" else host, int(found["port"]))

    @property
    def loopback(self) -> bool:
        """Whether only programs of this machine can reach it."""
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def wildcard(self) -> bool:
        """Whether it stands for all addresses of the machine."""
        return ipaddress.ip_address(self.host).is_unspecified

    def url(self) -> str:
        """Return what a browser opens; for all addresses, the one that other machines most likely reach."""
        host = _outward(self.host) if self.wildcard else self.host
        return f"http://[{host}]:{self.port}/" if ":" in host else f"http://{host}:{self.port}/"


def _outward(wildcard: str) -> str:
    """Return this machine's address on the way out; its name where it has none. Nothing is sent."""
    family, far = (socket.AF_INET6, "2001:db8::1") if ":" in wildcard else (socket.AF_INET, "192.0.2.1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((far, 9))
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()
