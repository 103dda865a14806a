"""The built-in street scenes with their cars and people told apart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgeseg.data.canvas import Scene
from edgeseg.data.instances.base import Instance, InstanceSample
from edgeseg.data.instances.regions import numbered
from edgeseg.data.procedural import ProceduralData, ProceduralSpec
from edgeseg.data.scene import COUNTED, LABELS
from edgeseg_runtime.contract import Label

_KINDS = tuple(index for index, label in enumerate(LABELS) if label.name in COUNTED)


class ProceduralObjects:
    """One split of the built-in set; `read(i)` draws scene i, the same every time.

    An object's region is what is seen of it: parts hidden by others are not in it. Raises DatasetError for a split
    there is none of.
    """

    def __init__(self, spec: ProceduralSpec, split: str) -> None:
        self._scenes = ProceduralData(spec, split)

    @property
    def labels(self) -> tuple[Label, ...]:
        """Cars and people."""
        return tuple(LABELS[index] for index in _KINDS)

    @property
    def description(self) -> str:
        """What this set is, for people. Objects are not counted: that would take drawing every scene."""
        scenes, _, _ = self._scenes.description.rpartition(",")
        return f"{scenes}, objects of {len(_KINDS)} classes"

    def __len__(self) -> int:
        return len(self._scenes)

    def name(self, index: int) -> str:
        """Return the scene's name: split and number."""
        return self._scenes.name(index)

    def read(self, index: int) -> InstanceSample:
        """Draw picture and objects of scene `index`."""
        scene = self._scenes.scene(index)
        return InstanceSample(scene.image, tuple(_objects(scene)))


def _objects(scene: Scene) -> Iterator[Instance]:
    for _, region in numbered(scene.instances):
        row, column = np.argwhere(region.inside)[0]
        # all pixels of a thing are of its class
        kind = int(scene.mask[region.top + row, region.left + column])
        yield Instance(_KINDS.index(kind), region)
