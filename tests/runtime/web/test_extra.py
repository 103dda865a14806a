from __future__ import annotations

import subprocess
import sys

import pytest

LOOK = """
import importlib, sys
if sys.argv[1] == "without":
    sys.modules["aiohttp"] = None  # an import of it raises, as if it were not installed
try:
    importlib.import_module("edgeseg_runtime.web.server")
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("without", "MissingExtraError aiohttp is not installed; install it with: pip install 'edgeseg[web]'"),
        ("with", ""),
    ],
)
def test_a_missing_package_is_named_with_its_extra(case: str, said: str) -> None:
    done = subprocess.run([sys.executable, "-c", LOOK, case], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == said
