from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeseg.optimize.budget import Budget
from edgeseg.optimize.run import CHOSEN, Parts, run_search


def test_an_interrupted_search_keeps_what_an_earlier_one_chose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / CHOSEN).mkdir()
    (tmp_path / CHOSEN / "model.onnx").touch()

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edgeseg.optimize.run.search", interrupted)
    nothing: Any = None
    parts = Parts(tmp_path, (), (1,), Budget(1.0, None, None), nothing, nothing, None, None, {})
    with pytest.raises(KeyboardInterrupt):
        run_search(parts, "edgeseg optimize", lambda _: None)
    assert (tmp_path / CHOSEN / "model.onnx").is_file()
