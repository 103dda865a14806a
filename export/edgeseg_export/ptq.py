"""Which way of quantising after training is best for this network: measured, not guessed.

Some calibration pictures are held back. Every candidate is built from the others and judged by how much of what the
float model says of the held-back pictures stays: pixels' classes, or objects. No labels are needed for it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from edgeseg_export.deployable import FrameModule
from edgeseg_export.layers import Layer
from edgeseg_export.likeness import Likeness, likeness_of
from edgeseg_export.quantize_openvino import OpenVinoQuantiser
from edgeseg_export.quantize_ort import OrtQuantiser, Recipe
from edgeseg_export.ranges import RULES
from edgeseg_runtime.errors import CalibrationError
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.progress import Progress, silent

HELD_BACK_SHARE, HELD_BACK_MOST = 0.25, 32
GOOD_ENOUGH = 0.99
"""Likeness beyond which OpenVINO's int8 is not tried in another way."""

Q = TypeVar("Q")


@dataclass(frozen=True)
class Chosen(Generic[Q]):
    """The best of the candidates."""

    quantiser: Q
    recipe: Recipe
    agreement: dict[str, float]
    """By recipe: how much (0..1) is as the float model has it, mean over held-back pictures: see `likeness`."""

    def as_dict(self) -> dict[str, Any]:
        """Return what goes into the manifest."""
        return {"chosen": str(self.recipe), "agreement_on_held_back_pictures": self.agreement}


def hold_back(pictures: Sequence[Image]) -> tuple[list[Image], list[Image]]:
    """Divide calibration pictures into those to measure on and those to judge by, evenly through the set.

    Raises CalibrationError when there are fewer than two.
    """
    if len(pictures) < 2:
        raise CalibrationError(
            f"int8 needs at least two calibration pictures, one of them to judge by; got {len(pictures)}"
        )
    count = max(1, min(HELD_BACK_MOST, round(HELD_BACK_SHARE * len(pictures))))
    kept = {int(index) for index in np.linspace(0, len(pictures) - 1, count).round()}
    measured = [picture for index, picture in enumerate(pictures) if index not in kept]
    return measured, [pictures[index] for index in sorted(kept)]


def choose_ort(
    source: Path, module: FrameModule, pictures: Sequence[Image], progress: Progress = silent
) -> Chosen[OrtQuantiser]:
    """Try every rule for ranges with and without equalisation, then the best of them without bias correction."""
    measured, held_back = hold_back(pictures)
    alike = likeness_of(module.contract)
    expected = alike.results(source, held_back)
    quantisers = {
        equalised: OrtQuantiser(source, module, measured, equalised=equalised, progress=progress)
        for equalised in (True, False)
    }

    def try_one(recipe: Recipe) -> float:
        quantiser = quantisers[recipe.equalised]
        return _try(lambda path: quantiser.write(path, recipe), "model.onnx", held_back, expected, alike)

    recipes = [Recipe(rule, equalised, bias_corrected=True) for equalised in quantisers for rule in RULES]
    tried = {recipe: try_one(recipe) for recipe in progress(recipes, "choosing ranges", len(recipes))}
    plain = replace(max(tried, key=tried.__getitem__), bias_corrected=False)
    tried[plain] = try_one(plain)
    best = max(tried, key=tried.__getitem__)
    return Chosen(quantisers[best.equalised], best, {str(recipe): share for recipe, share in tried.items()})


def choose_openvino(
    source: Path, module: FrameModule, pictures: Sequence[Image], layers: Sequence[Layer], progress: Progress = silent
) -> Chosen[OpenVinoQuantiser]:
    """Take NNCF's own ranges and bias correction; try equalisation too where they leave something to gain.

    A trial takes as long as the whole of int8 for OpenVINO, and on networks that do well without it never won.
    """
    measured, held_back = hold_back(pictures)
    alike = likeness_of(module.contract)
    expected = alike.results(source, held_back)
    tried: dict[Recipe, tuple[OpenVinoQuantiser, float]] = {}
    for equalised in progress((False, True), "choosing int8 for OpenVINO", 2):
        quantiser = OpenVinoQuantiser(source, module, measured, layers, equalised=equalised)
        share = _try(quantiser.write, "model.xml", held_back, expected, alike)
        tried[Recipe("minmax", equalised, bias_corrected=True)] = quantiser, share
        if share >= GOOD_ENOUGH:
            break
    best = max(tried, key=lambda recipe: tried[recipe][1])
    return Chosen(tried[best][0], best, {str(recipe): share for recipe, (_, share) in tried.items()})


def _try(
    write: Callable[[Path], None], name: str, pictures: Sequence[Image], expected: Sequence[Any], alike: Likeness
) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return alike.share(expected, alike.results(path, pictures))
