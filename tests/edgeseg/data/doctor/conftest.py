"""A small sound data set on disk, to spoil."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeseg.data.convert import write_folder
from edgeseg.data.items import open_collection

TRAIN, VAL = 24, 6


@pytest.fixture(scope="session")
def _sound(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from a procedural spec to a folder written of its train and val splits; do not change it."""
    made: dict[str, Path] = {}

    def make(spec: str) -> Path:
        if spec not in made:
            made[spec] = tmp_path_factory.mktemp("sound") / "set"
            collection = open_collection(spec, splits=("train", "val"))
            write_folder(collection, [item.split for item in collection.items], made[spec])
        return made[spec]

    return make


@pytest.fixture
def sound(_sound: Callable[[str], Path], tmp_path: Path) -> Path:
    """A sound set: 24 pictures of 96×128 in images/train, 6 in images/val, masks with a palette, classes.csv."""
    return shutil.copytree(_sound(f"procedural:96x128,n={TRAIN}"), tmp_path / "set")


@pytest.fixture
def square(_sound: Callable[[str], Path], tmp_path: Path) -> Path:
    """The same with square pictures of 96×96."""
    return shutil.copytree(_sound(f"procedural:96x96,n={TRAIN}"), tmp_path / "set")
