from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.zones.file import check_can_save, load_zones, save_zones
from edgeseg_runtime.zones.polygon import Zone

ZONES = {"door": (Zone("mat", ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9))),)}


def test_a_folder_that_is_not_there_is_made_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "zones.yaml"
    check_can_save(path)
    assert path.parent.is_dir() and not any(path.parent.iterdir())
    save_zones(path, ZONES)
    before = path.read_bytes()
    check_can_save(path)
    assert path.read_bytes() == before and load_zones(path)[0] == ZONES


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("file/zones.yaml", "Not a directory"),
        ("file/in/zones.yaml", "Not a directory"),
        ("folder", "Is a directory"),
        ("/proc/zones/zones.yaml", "No such file"),
        ("/proc/zones.yaml", "No such file"),
    ],
)
def test_where_nothing_can_be_written_it_is_said(tmp_path: Path, place: str, reason: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    path = tmp_path / place
    with pytest.raises(OutputError, match=rf"the zones {path} cannot be written: {reason}"):
        check_can_save(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only_is_refused(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        check_can_save(tmp_path / "closed" / "zones.yaml")


def test_a_disk_that_is_full_is_an_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("edgeseg_runtime.zones.file.write_text", full)
    with pytest.raises(OutputError, match=r"zones\.yaml cannot be written: No space left on device"):
        save_zones(tmp_path / "zones.yaml", ZONES)
