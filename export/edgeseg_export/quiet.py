"""Keep tools that talk to themselves from talking to the user."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """Silence warnings, standard output and the named loggers below errors while the block runs.

    For torch's exporter and the quantisers: they print progress bars of their own and warn of deprecations inside
    themselves, which nobody who calls them can do anything about.
    """
    levels = {name: logging.getLogger(name).level for name in loggers}
    try:
        for name in loggers:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
