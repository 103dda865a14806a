"""How a request is turned down."""

from __future__ import annotations

from collections.abc import Mapping


class Refused(Exception):  # noqa: N818 - an answer, not a malfunction
    """A request that gets an answer of `status` and one line. The line never repeats what the request said."""

    def __init__(self, status: int, line: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(line)
        self.status, self.line, self.headers = status, line, dict(headers or {})
