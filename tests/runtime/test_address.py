from __future__ import annotations

import socket

import pytest

from edgeseg_runtime.address import Address
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.web.options import WebOptions


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        ("8080", "127.0.0.1", 8080, True),
        (":0", "127.0.0.1", 0, True),
        ("localhost:81", "127.0.0.1", 81, True),
        ("127.0.0.2:80", "127.0.0.2", 80, True),
        ("[::1]:8080", "::1", 8080, True),
        ("0.0.0.0:65535", "0.0.0.0", 65535, False),
        ("[::]:8080", "::", 8080, False),
        ("192.168.1.5:8080", "192.168.1.5", 8080, False),
    ],
)
def test_an_address_is_read(text: str, host: str, port: int, loopback: bool) -> None:
    address = Address.parse(text)
    assert (address.host, address.port, address.loopback) == (host, port, loopback)
    assert address.wildcard == (host in ("0.0.0.0", "::"))


@pytest.mark.parametrize(
    "text",
    ["", "x", "80x", "-1", "65536", "999999", "camera:80", "::1:80", "[::1]", "1.2.3:80", "a\n:80", "80 ", "²"],
)
def test_what_is_no_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError) as told:
        Address.parse(text)
    assert "\n" not in str(told.value)
    assert any(repr(part) in str(told.value) for part in (text, text.split(":")[0])) or "got 65536" in str(told.value)


def test_the_link_is_one_that_a_browser_opens() -> None:
    assert Address("::1", 80).url() == "http://[::1]:80/"
    assert Address("192.0.2.7", 8080).url() == "http://192.0.2.7:8080/"
    outward = Address("0.0.0.0", 8080).url()
    assert "0.0.0.0" not in outward
    name = outward.removeprefix("http://").removesuffix(":8080/")
    assert name == socket.gethostname() or socket.inet_aton(name)


@pytest.mark.parametrize(
    "settings", [{"quality": 0}, {"quality": 101}, {"clients": 0}, {"ack_seconds": -1.0}, {"body_bytes": 0}]
)
def test_settings_outside_what_is_allowed_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        WebOptions(**settings)  # type: ignore[arg-type]
