from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from edgeseg_runtime.errors import MissingExtraError
from edgeseg_runtime.extras import require


def test_a_package_that_is_there_is_returned() -> None:
    assert require("json", "any") is json


def test_submodules_are_imported_too() -> None:
    assert require("json.decoder", "any").JSONDecoder is json.JSONDecoder


def test_an_absent_package_names_the_extra() -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'edgeseg\[plot\]'"):
        require("no_such_package_at_all", "plot")


def test_a_package_that_is_blocked_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match="openvino"):
        require("openvino", "openvino")


@pytest.mark.parametrize("body", ["import no_such_need", "raise ValueError('torn')"])
def test_a_broken_package_is_not_called_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    (tmp_path / "broken_package.py").write_text(body)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises((ModuleNotFoundError, ValueError), match=r"no_such_need|torn") as caught:
        require("broken_package", "plot")
    assert not isinstance(caught.value, MissingExtraError)
