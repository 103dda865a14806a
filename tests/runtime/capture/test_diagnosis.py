from __future__ import annotations

import av.error
import pytest

from edgeseg_runtime.capture.diagnosis import diagnose


@pytest.mark.parametrize(
    ("error", "lines", "connecting", "reason"),
    [
        (av.error.HTTPUnauthorizedError(1, "401"), [], True, "auth"),
        (av.error.HTTPForbiddenError(1, "403"), [], True, "auth"),
        (av.error.HTTPNotFoundError(1, "404"), [], True, "not found"),
        (av.error.HTTPServerError(1, "5xx"), [], True, "server error"),
        (av.error.ConnectionRefusedError(111, "refused"), [], True, "refused"),
        (av.error.ExitError(1, "exit"), [], True, "timeout"),
        (av.error.ExitError(1, "exit"), [], False, "no frames"),
        (av.error.TimeoutError(110, "late"), [], False, "no frames"),
        (av.error.ConnectionResetError(104, "reset"), [], False, "closed"),
        (av.error.EOFError(1, "end"), [], False, "closed"),
        (av.error.OSError(113, "No route to host"), [], True, "unreachable"),
        (av.error.OSError(101, "Network is unreachable"), [], True, "unreachable"),
        (
            av.error.OSError(5, "I/O error"),
            ["Failed to resolve hostname x: Name or service not known"],
            True,
            "not found",
        ),
        (av.error.OSError(5, "I/O error"), ["The certificate is not trusted"], True, "tls"),
        (av.error.ArgumentError(22, "Invalid"), ["Protocol 'file' not on whitelist 'rtp,tls'!"], True, "codec"),
        (av.error.OSError(5, "I/O error"), ["method DESCRIBE failed: 401 Unauthorized"], True, "auth"),
        (av.error.OSError(5, "I/O error"), [], True, "error"),
        (av.error.InvalidDataError(1, "invalid"), [], True, "codec"),
        (av.error.InvalidDataError(1, "invalid"), [], False, "damaged"),
        (av.error.DecoderNotFoundError(1, "none"), [], True, "codec"),
    ],
)
def test_each_error_has_its_reason(error: Exception, lines: list[str], connecting: bool, reason: str) -> None:
    assert diagnose(error, lines, connecting=connecting).reason == reason


def test_the_detail_holds_the_error_and_the_last_lines_once() -> None:
    lost = diagnose(av.error.OSError(5, "I/O error"), ["a", "b", "c", "d", "d"], connecting=True)
    assert lost.detail == "I/O error; c; d"
