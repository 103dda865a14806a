from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeseg_export import ptq
from edgeseg_export.likeness import Masks
from edgeseg_export.ptq import choose_openvino, choose_ort, hold_back
from edgeseg_export.quantize_openvino import OpenVinoQuantiser
from edgeseg_export.quantize_ort import OrtQuantiser, Recipe
from edgeseg_export.ranges import RULES
from edgeseg_runtime.errors import CalibrationError


@pytest.mark.parametrize(("count", "held"), [(2, 1), (8, 2), (64, 16), (400, 32)])
def test_some_pictures_are_held_back(count: int, held: int) -> None:
    pictures = [np.full((1, 1, 3), index % 256, np.uint8) for index in range(count)]
    measured, judged = hold_back(pictures)
    assert (len(measured), len(judged)) == (count - held, held)
    assert {id(picture) for picture in (*measured, *judged)} == {id(picture) for picture in pictures}


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_to_judge_by(trained: Any, count: int) -> None:
    with pytest.raises(CalibrationError, match=f"got {count}"):
        choose_ort(trained.onnx, trained.module, trained.calibration[:count])


def test_nothing_to_calibrate_on(trained: Any) -> None:
    for quantiser in (OrtQuantiser, OpenVinoQuantiser):
        with pytest.raises(CalibrationError, match="no calibration pictures"):
            quantiser(trained.onnx, trained.module, [])


def test_the_best_on_held_back_pictures_is_chosen(trained: Any, tmp_path: Path) -> None:
    chosen = choose_ort(trained.onnx, trained.module, trained.calibration[:16])
    assert len(chosen.agreement) == 2 * len(RULES) + 1
    assert chosen.agreement[str(chosen.recipe)] == max(chosen.agreement.values()) > 0.97
    # the number is that of the file, counted here by hand
    chosen.quantiser.write(tmp_path / "model.onnx", chosen.recipe)
    _, judged = hold_back(trained.calibration[:16])
    pairs = zip(Masks().results(trained.onnx, judged), Masks().results(tmp_path / "model.onnx", judged), strict=True)
    assert np.mean([(a == b).mean() for a, b in pairs]) == pytest.approx(chosen.agreement[str(chosen.recipe)])
    assert chosen.as_dict()["chosen"] == str(chosen.recipe)


@pytest.mark.parametrize(("enough", "trials"), [(0.0, 1), (1.1, 2)])
def test_openvino_tries_equalisation_where_something_is_to_be_gained(
    trained: Any, monkeypatch: pytest.MonkeyPatch, enough: float, trials: int
) -> None:
    monkeypatch.setattr(ptq, "GOOD_ENOUGH", enough)
    chosen = choose_openvino(trained.onnx, trained.module, trained.calibration[:8], ())
    assert len(chosen.agreement) == trials
    assert chosen.agreement[str(chosen.recipe)] == max(chosen.agreement.values())
    assert chosen.quantiser.equalised == chosen.recipe.equalised


def test_a_recipe_for_other_weights_is_refused(trained: Any, tmp_path: Path) -> None:
    quantiser = OrtQuantiser(trained.onnx, trained.module, trained.calibration[:2])
    with pytest.raises(ValueError, match="equalised"):
        quantiser.write(tmp_path / "model.onnx", Recipe(equalised=True))
    with pytest.raises(KeyError, match="nope"):
        quantiser.write(tmp_path / "model.onnx", Recipe(), ["nope"])
    assert not list(tmp_path.iterdir())
