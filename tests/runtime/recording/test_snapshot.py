from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.recording import Snapshot, SnapshotSink, save_snapshot

if TYPE_CHECKING:
    from tests.runtime.recording.conftest import MakeShot


def test_a_snapshot_is_the_annotated_picture_and_the_exact_mask(tmp_path: Path, make_shot: MakeShot) -> None:
    shot = make_shot(5, 1.0, share=0.3, opacity=0.4, camera="Front door")
    saved = save_snapshot(shot, tmp_path / "new", 1_793_882_096.789)
    assert saved.picture.name == "20261105T123456.789Z_Front-door.jpg"
    assert saved.mask == tmp_path / "new" / "20261105T123456.789Z_Front-door.mask.png"
    assert not saved.fresh
    mask = cv2.imread(str(saved.mask), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(np.asarray(mask), shot.result.mask)
    picture = np.asarray(cv2.imread(str(saved.picture)), float)
    assert np.abs(picture - shot.picture).mean() < 3
    assert len(list(saved.picture.parent.iterdir())) == 2


def test_snapshots_of_one_moment_overwrite_nothing(tmp_path: Path, make_shot: MakeShot) -> None:
    saved = [save_snapshot(make_shot(index, 1.0), tmp_path, 1_793_882_096.0) for index in range(3)]
    assert len({one.picture for one in saved}) == len({one.mask for one in saved}) == 3
    assert len(list(tmp_path.iterdir())) == 6


def test_without_a_mask_only_the_picture_is_saved(tmp_path: Path, make_shot: MakeShot) -> None:
    saved = save_snapshot(make_shot(0, 1.0, masked=False), tmp_path, 0.0)
    assert saved.mask is None
    assert [path.suffix for path in tmp_path.iterdir()] == [".jpg"]


def test_a_snapshot_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path, make_shot: MakeShot) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        save_snapshot(make_shot(0, 1.0), tmp_path / "file", 0.0)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_other_threads_ask_and_get_the_newest_shot_of_their_camera(tmp_path: Path, make_shot: MakeShot) -> None:
    sink = SnapshotSink(tmp_path)
    saved: list[Snapshot] = []
    for index in range(3):
        for camera in ("east", "west"):
            shot = make_shot(index, index / 20, share=0.1 * index, camera=camera)
            sink.write(shot, None)
    askers = [threading.Thread(target=lambda c=c: saved.append(sink.take(c, 20))) for c in ("east", "west") * 4]
    for asker in askers:
        asker.start()
    while any(asker.is_alive() for asker in askers):
        sink.idle()
    assert len({one.picture for one in saved}) == 8
    expected = make_shot(2, 0.1, share=0.2).result.mask
    for one in saved:
        np.testing.assert_array_equal(np.asarray(cv2.imread(str(one.mask), cv2.IMREAD_UNCHANGED)), expected)
    sink.close()


def test_nobody_waits_for_ever(tmp_path: Path, make_shot: MakeShot) -> None:
    sink = SnapshotSink(tmp_path)
    with pytest.raises(OutputError, match=r"not saved within 0\.05 s"):
        sink.take(timeout=0.05)
    sink.write(make_shot(0, 0.0, camera="east"), None)
    assert list(tmp_path.iterdir()) == []  # who asked has gone

    refused: list[str] = []

    def ask(camera: str) -> None:
        with pytest.raises(OutputError) as caught:
            sink.take(camera, 20)
        refused.append(str(caught.value))

    asker = threading.Thread(target=ask, args=("north",))
    asker.start()
    while asker.is_alive():
        sink.idle()
    assert "no picture of camera 'north'; there are: east" in refused[0]
    waiting = threading.Thread(target=ask, args=("east",))
    waiting.start()
    while not sink._asked:
        pass
    sink.close()
    waiting.join(20)
    ask("east")
    assert ["has ended" in line for line in refused[1:]] == [True, True]
