from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.files import atomic_path, remove, sha256, write_bytes, write_json, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_whole_under_its_own_name_only(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "model.onnx"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        assert temporary.parent == target.parent and temporary.suffix == ".onnx"
        assert not target.exists()
        temporary.write_bytes(b"whole")
    assert target.read_bytes() == b"whole"
    assert names(target.parent) == ["model.onnx"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "a.json"
    target.write_text("old")
    with pytest.raises(error), atomic_path(target) as temporary:
        temporary.write_text("new, half")
        raise error
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_a_killed_process_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_text("old")
    code = (
        "import os, signal, sys; from pathlib import Path; from edgeseg_runtime.files import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(target)], check=False).returncode == -9
    assert target.read_text() == "old"


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "export"
    target.mkdir()
    for generation in ("first", "second"):
        with atomic_path(target, over_folder=True) as temporary:
            temporary.mkdir()
            (temporary / generation).touch()
    assert names(target) == ["second"]
    assert names(tmp_path) == ["export"]


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "thesis"
    target.mkdir()
    with atomic_path(target) as temporary:  # an empty one is as good as none
        temporary.mkdir()
        (temporary / "chapter").touch()
    with pytest.raises(OutputError, match="there is a folder of that name, which is not empty"), atomic_path(target):
        raise AssertionError("nothing is begun")
    assert names(target) == ["chapter"] and names(tmp_path) == ["thesis"]


def test_two_writers_of_one_name_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with atomic_path(target) as first, atomic_path(target) as second:
        assert first != second
        first.write_text("1")
        second.write_text("2")
    assert target.read_text() == "1"  # the outer one ended last
    assert names(tmp_path) == ["a.txt"]


def test_a_place_that_cannot_hold_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot make the folder .*file/below"):
        write_text(tmp_path / "file" / "below" / "a.txt", "x")


def test_a_read_only_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere, and tests may run as root
    with pytest.raises(OutputError, match="read-only"):
        write_text(tmp_path / "a.txt", "x")


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OutputError, match="there is a folder"):
        write_text(tmp_path / "a.txt", "x")
    assert names(tmp_path) == ["a.txt"]


def test_text_bytes_and_json_read_back(tmp_path: Path) -> None:
    write_text(tmp_path / "t", "Straße ×")
    write_bytes(tmp_path / "b", b"\x00\xff")
    write_json(tmp_path / "j", {"größe": [1, 2.5, None]})
    assert (tmp_path / "t").read_text(encoding="utf-8") == "Straße ×"
    assert (tmp_path / "b").read_bytes() == b"\x00\xff"
    assert json.loads((tmp_path / "j").read_text(encoding="utf-8")) == {"größe": [1, 2.5, None]}
    assert "größe" in (tmp_path / "j").read_text(encoding="utf-8")


def test_json_that_others_cannot_read_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "j", {"x": float("nan")})
    assert names(tmp_path) == []


def test_remove_takes_files_folders_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    remove(tmp_path / "link")
    assert names(tmp_path / "kept") == ["file"]  # a link goes, what it points to stays
    remove(tmp_path / "kept" / "file")
    remove(tmp_path / "kept")
    remove(tmp_path / "absent")
    assert names(tmp_path) == []


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, (1 << 20) + 1])
def test_sha256_is_that_of_the_whole_file(tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    (tmp_path / "f").write_bytes(data)
    assert sha256(tmp_path / "f") == hashlib.sha256(data).hexdigest()
