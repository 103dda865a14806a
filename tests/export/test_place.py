"""What an export may replace: nothing that it did not write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeseg_export.place import BENCHED, MANIFEST, PARITY, REPORT, check_place
from edgeseg_runtime.errors import OutputError


def make_export(folder: Path) -> Path:
    files = ("onnx-int8/model.onnx", "rejected/openvino-int8/model.xml", PARITY, REPORT, *BENCHED)
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    artifacts = [{"name": file.split("/")[0], "files": {file: {"bytes": 0}}} for file in files[:2]]
    (folder / MANIFEST).write_text(json.dumps({"artifacts": artifacts}))
    return folder


def test_a_free_place_an_empty_folder_and_an_export_will_do(tmp_path: Path) -> None:
    check_place(tmp_path / "new" / "folder")
    (tmp_path / "empty").mkdir()
    check_place(tmp_path / "empty")
    check_place(make_export(tmp_path / "export"))


def test_anything_else_in_an_export_is_named(tmp_path: Path) -> None:
    folder = make_export(tmp_path / "export")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"export would be replaced, and notes\.txt in it is no part of an export"):
        check_place(folder)


@pytest.mark.parametrize("manifest", ["", "[]", '{"artifacts": [{"files": {"": 0}}]}', '{"artifacts": 3}', '{"a": 1}'])
def test_without_a_manifest_that_can_be_read_it_is_no_export(tmp_path: Path, manifest: str) -> None:
    folder = make_export(tmp_path / "export")
    (folder / MANIFEST).write_text(manifest)
    with pytest.raises(OutputError, match=r"bench\.json in it is no part"):
        check_place(folder)


def test_a_run_is_no_export(tmp_path: Path) -> None:
    (tmp_path / "best.safetensors").touch()
    (tmp_path / "last.safetensors").touch()
    with pytest.raises(OutputError, match=r"best\.safetensors in it is no part of an export; choose another --out"):
        check_place(tmp_path)


def test_a_file_and_a_dead_link_are_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(OutputError, match=f"{name} is a file"):
            check_place(tmp_path / name)


@pytest.mark.parametrize("out", [".", "..", "deeper/.."])
def test_where_somebody_is_nothing_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    folder = make_export(tmp_path / "export")
    (folder / "onnx-int8" / "deeper").mkdir()
    monkeypatch.chdir(folder / "onnx-int8" if out == ".." else folder)
    (Path.cwd() / "deeper").mkdir(exist_ok=True)
    with pytest.raises(OutputError, match="it is the folder you are in or one around it"):
        check_place(Path(out))
