"""What is looked at before a live stream's model is loaded, and what is not needed for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOOK = """
import sys
sys.modules["aiohttp"] = None  # an import of it raises, as if it were not installed
from edgeseg.cli.live_checks import _addresses
try:
    print(_addresses(*(None if text == "-" else text for text in sys.argv[1:])))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("web", "metrics", "said"),
    [
        ("-", "127.0.0.1:0", "(None, Address(host='127.0.0.1', port=0))"),
        ("127.0.0.1:0", "-", "MissingExtraError aiohttp is not installed"),
    ],
)
def test_only_the_viewer_needs_the_web_extra(web: str, metrics: str, said: str) -> None:
    done = subprocess.run([sys.executable, "-c", LOOK, web, metrics], capture_output=True, text=True, check=True)
    assert said in done.stdout
