"""The flags of the viewer in the browser."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from edgeseg.cli.stream_groups import VIEWER
from edgeseg_runtime.errors import ConfigError

TOKEN_VARIABLE = "EDGESEG_WEB_TOKEN"
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,}", re.ASCII)
"""What stands in a link as it is."""


@Parameter(name="*", group=VIEWER)
@dataclass(frozen=True)
class ViewerConfig:
    """The stream in a browser."""

    web: str | None = None
    """Serve the viewer at [HOST:]PORT: `8080` is for this machine, `0.0.0.0:8080` for its networks, with a token."""
    web_token_file: Path | None = None
    """File with the viewer's token, which stays the same from start to start; or set EDGESEG_WEB_TOKEN."""
    also: Annotated[tuple[Path, ...], Parameter(show_default=False, negative_iterable=())] = ()
    """Another model that the viewer may switch to. Repeatable."""

    def __post_init__(self) -> None:
        if self.also and self.web is None:
            raise ConfigError("--also is for the viewer, which --web [HOST:]PORT starts")
        if self.web_token_file is not None and self.web is None:
            raise ConfigError("--web-token-file is for the viewer, which --web [HOST:]PORT starts")

    def token(self) -> str | None:
        """Return the token that was given, None where the viewer is to make one if it needs it. Raises ConfigError."""
        if self.web_token_file is None:
            text, place = os.environ.get(TOKEN_VARIABLE), TOKEN_VARIABLE
            if text is None:
                return None
        else:
            place = f"--web-token-file {self.web_token_file}"
            try:
                text = self.web_token_file.read_text(encoding="utf-8")
            except OSError as error:
                raise ConfigError(f"{place} cannot be read: {error.strerror}") from error
            except UnicodeDecodeError:
                text = ""
        if not _TOKEN.fullmatch(text.strip()):  # and do not say what it is
            raise ConfigError(f"{place} must hold one token, of 16 or more letters, digits and - . _ ~")
        return text.strip()
