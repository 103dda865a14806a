from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeseg.cli.outputs import OutputConfig, keep_in, open_sinks
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.result import SemanticResult, StageTimes
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sources.base import Frame


@pytest.fixture
def shot(colour_contract: Contract) -> Shot:
    """A recording's frame, half of it green."""
    mask = np.zeros((48, 64), np.uint8)
    mask[:, 32:] = 1
    frame = Frame(0, np.full((48, 64, 3), 90, np.uint8), 0.0, 0.0, "000000")
    return Shot(frame, SemanticResult(mask, colour_contract, StageTimes(0, 0, 0)), color_table(colour_contract), 0.5)


def test_a_picture_that_is_kept_has_its_mask_beside_it(tmp_path: Path, shot: Shot) -> None:
    keep = keep_in(tmp_path / "snapshots")
    first, second = Path(keep(shot)), Path(keep(shot))
    assert first != second and len(list((tmp_path / "snapshots").iterdir())) == 4
    picture, mask = cv2.imread(str(first)), cv2.imread(str(first.with_suffix(".mask.png")), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask, shot.result.mask)
    assert picture is not None and np.abs(picture.astype(int) - shot.picture).mean() < 3
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        keep_in(tmp_path / "file")(shot)


def test_the_window_begins_with_the_opacity_of_the_stream_and_can_keep_pictures(
    tmp_path: Path, shot: Shot, colour_contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [ord("s"), -1, -1]
    windows: list[Any] = []
    for place in ("edgeseg_runtime.sinks.window", "edgeseg_runtime.sinks"):
        monkeypatch.setattr(f"{place}.window_problem", lambda: None)
    monkeypatch.setattr(cv2, "imshow", lambda _title, picture: windows.append(picture))
    monkeypatch.setattr(cv2, "pollKey", lambda: keys.pop(0))
    for name in ("namedWindow", "resizeWindow", "destroyAllWindows"):
        monkeypatch.setattr(cv2, name, lambda *_: None)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: 1.0)
    (window,) = open_sinks(OutputConfig(opacity=1.0), None, colour_contract, tmp_path / "kept")
    opacity, picture = window.encode(shot)
    assert opacity == 1.0 and (picture[:, 40] == (0, 255, 0)).all()
    window.write(shot, (opacity, picture))
    assert len(list((tmp_path / "kept").glob("*.jpg"))) == 1 and len(windows) == 2
    window.close()
