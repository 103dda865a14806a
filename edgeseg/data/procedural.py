"""The built-in data set: little street scenes drawn by code, with exact truth. Needs no download and no licence.

Scores on it say that the machinery works; they are no evidence of accuracy on real pictures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgeseg.data.base import Sample
from edgeseg.data.canvas import Scene
from edgeseg.data.render import render
from edgeseg.data.scene import LABELS, make_world
from edgeseg_runtime.contract import Label
from edgeseg_runtime.errors import DatasetError

NAME = "procedural"
SPLITS = {"train": 1, "val": 2, "test": 3, "calibration": 4}
"""The number is mixed into the seed, so no two splits share a scene."""
_CLIP = 5
_SHARE = {"train": 1.0, "val": 0.25, "test": 0.25, "calibration": 0.25}
MIN_SIZE, MAX_SIZE = 32, 4096
EXAMPLE = "procedural:96x128,n=400,seed=1,night"


@dataclass(frozen=True)
class ProceduralSpec:
    """What is written after `procedural`: `procedural:HEIGHTxWIDTH,n=COUNT,seed=SEED,night`, each part optional."""

    height: int = 96
    width: int = 128
    n: int = 1000
    """Pictures in `train`; the other splits have a quarter of it."""
    seed: int = 0
    night: bool = False

    @classmethod
    def parse(cls, text: str) -> ProceduralSpec:
        """Read a spec. Raises DatasetError naming the part that is not understood."""
        name, _, rest = text.partition(":")
        if name != NAME:
            raise DatasetError(f"{text!r} is not a {NAME} spec; write it like {EXAMPLE}")
        values: dict[str, int | bool] = {}
        for part in filter(None, rest.split(",")):
            if size := re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", part):
                values["height"], values["width"] = int(size[1]), int(size[2])
            elif number := re.fullmatch(r"(n|seed)=(\d{1,9})", part):
                values[number[1]] = int(number[2])
            elif part == "night":
                values["night"] = True
            else:
                raise DatasetError(f"{text!r}: cannot read {part!r}; write it like {EXAMPLE}")
        spec = cls(**values)  # type: ignore[arg-type]
        if not (MIN_SIZE <= spec.height <= MAX_SIZE and MIN_SIZE <= spec.width <= MAX_SIZE):
            raise DatasetError(f"{text!r}: height and width must be {MIN_SIZE} to {MAX_SIZE}")
        if spec.n < 1:
            raise DatasetError(f"{text!r}: n must be at least 1")
        return spec


def is_meant(spec: str, format: str) -> bool:
    """Return whether `spec` names the built-in set. Raises DatasetError if `format` says so and `spec` does not."""
    named = spec.partition(":")[0] == NAME
    if format == NAME and not named:
        raise DatasetError(f"the {NAME} set is named like {EXAMPLE}, got {spec!r}")
    return format == NAME or (format == "auto" and named)


class ProceduralData:
    """One split of the built-in set; `read(i)` draws scene i, the same every time.

    Raises DatasetError for a split there is none of.
    """

    def __init__(self, spec: ProceduralSpec, split: str) -> None:
        if split not in SPLITS:
            raise DatasetError(f"{NAME} has no split {split!r}; it has {', '.join(SPLITS)}")
        self.spec, self.split = spec, split
        self._count = max(1, round(spec.n * _SHARE[split]))

    @property
    def labels(self) -> tuple[Label, ...]:
        """The class table."""
        return LABELS

    @property
    def description(self) -> str:
        """What this set is, for people."""
        when = "night" if self.spec.night else "day"
        size = f"{self.spec.height}×{self.spec.width}"
        return f"built-in street scenes ({when}, {size}), {self.split}: {len(self)} pictures, {len(LABELS)} classes"

    def __len__(self) -> int:
        return self._count

    def name(self, index: int) -> str:
        """Return the scene's name: split and number."""
        return f"{self.split}_{self._checked(index):05d}"

    def read(self, index: int) -> Sample:
        """Draw picture and truth of scene `index`."""
        scene = self.scene(index)
        return Sample(scene.image, scene.mask)

    def scene(self, index: int) -> Scene:
        """Draw scene `index` with its instance ids."""
        night = int(self.spec.night)
        rng = np.random.default_rng([self.spec.seed, SPLITS[self.split], self._checked(index), night])
        world = make_world(rng, night=self.spec.night)
        return render(world, (self.spec.height, self.spec.width), 0.0, rng)

    def _checked(self, index: int) -> int:
        if not 0 <= index < self._count:
            raise IndexError(f"scene {index} of {self._count}")
        return index


def procedural_clip(
    frames: int, size: tuple[int, int], seed: int = 0, *, night: bool = False, fps: float = 15.0
) -> Iterator[Scene]:
    """Drive through one street: yield `frames` scenes of (height, width), `1 / fps` seconds apart.

    Objects move steadily and keep their instance number. No street of it is in any split.
    """
    speed = 7.0
    rng = np.random.default_rng([seed, _CLIP, 0, int(night)])
    world = make_world(rng, night=night, travel=speed * frames / fps, speed=speed)
    for frame in range(frames):
        yield render(world, size, frame / fps, rng)
