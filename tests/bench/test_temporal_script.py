"""The measuring script, end to end on a drive of a dozen small frames: what it writes, not how good anything is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

import temporal
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError

if TYPE_CHECKING:
    from tests.conftest import TinyModel


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(temporal, "STILL_SECONDS", 1.0)
    rng = np.random.default_rng(0)
    wide = cv2.resize(rng.integers(0, 256, (8, 20, 3), np.uint8), (160, 64), interpolation=cv2.INTER_CUBIC)
    mask = np.repeat(np.arange(12, dtype=np.uint8), 14)[None, :160].repeat(64, 0)
    davis = "davis/JPEGImages/one", "davis/Annotations/one"
    for folder in ("camvid/val", "camvid/valannot", *davis):
        (tmp_path / folder).mkdir(parents=True)
    for index in range(12):
        window = np.s_[:, index : index + 96]
        cv2.imwrite(str(tmp_path / "camvid/val" / f"{index:02}.png"), wide[window])
        cv2.imwrite(str(tmp_path / "camvid/valannot" / f"{index:02}.png"), mask[window])
        cv2.imwrite(str(tmp_path / davis[0] / f"{index:02}.jpg"), wide[window])
        cv2.imwrite(str(tmp_path / davis[1] / f"{index:02}.png"), np.where(mask[window] == 3, 255, 0))
    return tmp_path


def test_without_a_model_each_clip_is_played_with_each_trick_on_two_oracles(data: Path) -> None:
    out, picture = data / "result.json", data / "sheet.png"
    temporal.temporal(config=temporal.TemporalConfig(data=data, out=out, picture=picture))
    result = json.loads(out.read_text(encoding="utf-8"))
    names = {"camvid-val", "camvid-val-still", "camvid-val-drift", "davis-one"}
    assert {clip["name"] for clip in result["clips"]} == {row["clip"] for row in result["rows"]} == names
    runs = [(row["source"], row["clip"], row["trick"]) for row in result["rows"]]
    assert len(set(runs)) == len(runs)
    off = {(row["source"], row["clip"]): row for row in result["rows"] if row["trick"] == "off"}
    assert off["truth", "camvid-val"]["mean_iou"] == 1 and off["noisy", "camvid-val"]["mean_iou"] < 1
    averages = {(row["source"], row["trick"]): row for row in result["means"]}
    for trick in ("hold every 3", "warp every 3"):
        values = [
            row["mean_iou"]
            for row in result["rows"]
            if (row["source"], row["trick"]) == ("truth", trick) and row["clip"] in ("camvid-val", "davis-one")
        ]
        assert averages["truth", trick]["mean_iou"] == pytest.approx(np.mean(values), abs=1e-4)
    assert cv2.imread(str(picture)) is not None


def test_a_model_of_other_classes_is_refused(
    data: Path, tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path
) -> None:
    model = tiny_model(colour_contract, tmp_path / "model.onnx")
    with pytest.raises(ConfigError, match=r"CamVid's 11 or DAVIS' 2"):
        temporal.temporal(config=temporal.TemporalConfig((model,), data=data, out=data / "result.json"))
    assert not (data / "result.json").exists()


@pytest.mark.parametrize("output", ["scores", "mask"])
def test_a_model_is_played_on_the_clips_whose_classes_it_knows(
    data: Path, tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path, output: str
) -> None:
    red, green, _ = colour_contract.labels
    labels = replace(red, name="background"), replace(green, name="object")
    contract = replace(colour_contract, labels=labels, output=output)  # type: ignore[arg-type]
    model = tiny_model(contract, tmp_path / "model.onnx")
    out = data / "result.json"
    temporal.temporal(config=temporal.TemporalConfig((model,), data=data, out=out))
    rows = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert {row["clip"] for row in rows} == {"davis-one"}
    assert all(row["model_ms"] > 0 for row in rows)
    assert any("smooth scores" in row["trick"] for row in rows) == (output == "scores")
