from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeseg_export.openvino_file import read_folded, save_ir
from edgeseg_runtime.contract import CONTRACT_KEY, PRECISION_KEY
from edgeseg_runtime.engines.load_openvino import load_openvino
from edgeseg_runtime.segmenter import Segmenter


def metadata(trained: Any) -> dict[str, str]:
    return {CONTRACT_KEY: trained.module.contract.to_json(), PRECISION_KEY: "float32"}


def test_both_files_are_there_and_nothing_else(trained: Any, tmp_path: Path) -> None:
    save_ir(read_folded(trained.onnx), tmp_path / "model.xml", metadata(trained))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "model.xml"]
    assert Segmenter.load(tmp_path / "model.xml").contract == trained.module.contract


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError])
def test_an_interruption_leaves_what_was_there(
    failure: type[BaseException], trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_ir(read_folded(trained.onnx), tmp_path / "model.xml", metadata(trained))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    model = read_folded(trained.onnx)

    def half(_model: Any, path: Path, **_: Any) -> None:
        Path(path).write_text("<net")
        Path(path).with_suffix(".bin").write_bytes(b"half")
        raise failure

    monkeypatch.setattr(load_openvino(), "save_model", half)
    with pytest.raises(failure):
        save_ir(model, tmp_path / "model.xml", metadata(trained))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
