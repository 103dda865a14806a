"""Optional packages: imported where they are used, named exactly when they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from edgeseg_runtime.errors import MissingExtraError


def require(package: str, extra: str) -> Any:
    """Import `package`, or raise MissingExtraError with the pip line that brings it."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        # A package that is there but lacks one of its own needs is a broken install, not a missing extra.
        if error.name is not None and error.name.split(".")[0] != package.split(".")[0]:
            raise
        raise MissingExtraError(package, extra) from error
