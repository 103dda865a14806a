"""What can be the matter with a live source, in words that stay the same."""

from __future__ import annotations

from typing import Literal, TypeAlias

State: TypeAlias = Literal["connecting", "live", "stalled", "frozen", "reconnecting", "failed"]
"""connecting: it has given no frame yet. live: its newest frame is fresh. stalled: connected, but no good frame comes.
frozen: frames come, and are all the same picture. reconnecting: the connection ended, and is tried again.
failed: given up; trying again cannot help."""

Reason: TypeAlias = Literal[
    "auth",  # the user name or password is wrong, or missing
    "tls",  # no trust in its certificate, or no TLS at all
    "timeout",  # it does not answer
    "refused",  # nothing listens at the address
    "unreachable",  # no way to the address
    "not found",  # no such host, path or device
    "server error",  # it answers that it cannot serve
    "codec",  # what it sends cannot be decoded
    "damaged",  # nothing but damaged frames comes
    "behind",  # frames come later and later: the network or this machine is too slow for the stream
    "no frames",  # connected and silent
    "same picture",  # one picture over and over
    "closed",  # it hung up
    "unplugged",  # the device is gone
    "busy",  # another program holds the device
    "not live",  # a recording, which has an end
    "package missing",  # the package that reads it is not installed
    "worker died",  # the process that reads it crashed or was killed
    "worker hung",  # the process that reads it stopped answering, and was killed
    "error",  # anything else; see the event's detail
]

HOPELESS: frozenset[Reason] = frozenset({"not live", "package missing"})
"""Trying again does not help."""

ABSENT: frozenset[Reason] = frozenset(
    {
        "timeout",
        "refused",
        "unreachable",
        "not found",  # a camera that starts up may answer 404 for a while
        "server error",
        "closed",
        "no frames",
        "damaged",
        "behind",
        "unplugged",
        "busy",
        "worker hung",
    }
)
"""The camera may come back by itself any moment. The others need somebody to mend something."""


class Lost(Exception):  # noqa: N818 - what cameras do, not a malfunction
    """The connection could not be made, or is over. `detail` may hold credentials until it is scrubbed."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail
