from __future__ import annotations

import json
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import object_fps
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError, EdgesegError
from object_fps import FpsConfig, against, common_size, compare
from tests.instance_model import instance_contract, write_instance_model

if TYPE_CHECKING:
    from tests.conftest import ColourClip, TinyModel


def script(path: Path, code: str) -> Path:
    """A Python that runs this in place of what it is given."""
    path.write_text(f"#!{sys.executable}\nimport sys\n{code}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_ratios_are_taken_within_a_turn() -> None:
    told = against([100.0, 30.0, 90.0], [50.0, 10.0, 60.0])
    assert told == {"fps": 90.0, "times_ultralytics": 2.0, "turns": [100.0, 30.0, 90.0]}


@pytest.mark.parametrize(("seconds", "code"), [(1e6, 0), (1e-6, 1)])
def test_frames_of_a_recording_are_compared(
    seconds: float, code: int, colour_clip: ColourClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other is a stand-in that is as fast as it says."""
    model = write_instance_model(instance_contract(), tmp_path / "model.onnx")
    clip = colour_clip(tmp_path / "clip.mp4", 12)
    say = f"print('words'); print('{{\"frames\": 12, \"seconds\": {seconds}, \"argv\": ' + repr(len(sys.argv)) + '}}')"
    out = tmp_path / "fps.json"
    assert compare((model,), config=FpsConfig(clip, script(tmp_path / "python", say), 1, out)) == code
    told = json.loads(out.read_text())
    assert told["input"] == [48, 64] and told["ultralytics"]["fps"] == round(12 / seconds, 2)
    (mine,) = told["edgeseg"].values()
    assert mine["fps"] > 0 and (mine["times_ultralytics"] >= 1) == (code == 0)
    assert "frames/s" in capsys.readouterr().err


def test_models_that_cannot_be_compared(tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path) -> None:
    found = write_instance_model(instance_contract(), tmp_path / "a.onnx")
    other = write_instance_model(replace(instance_contract(), width=96), tmp_path / "b.onnx")
    assert common_size((found, found)) == (48, 64)
    with pytest.raises(ConfigError, match="one input size, got 48×64, 48×96"):
        common_size((found, other))
    with pytest.raises(ConfigError, match="a model of classes"):
        common_size((tiny_model(colour_contract, tmp_path / "c.onnx"),))


def test_what_is_missing_or_fails_is_said(tmp_path: Path) -> None:
    model = write_instance_model(instance_contract(), tmp_path / "model.onnx")
    with pytest.raises(ConfigError, match="not there"):
        compare((model,), config=FpsConfig(tmp_path / "clip.mp4", tmp_path / "nowhere"))
    failing = script(tmp_path / "python", "sys.exit('no module named ultralytics')")
    with pytest.raises(EdgesegError, match="no module named ultralytics"):
        object_fps.peer(failing, tmp_path / "clip.mp4", (48, 64))
