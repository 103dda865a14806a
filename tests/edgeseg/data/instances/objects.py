"""Objects to compare, for the tests of data sets of instances."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgeseg.data.instances.base import Instance, InstanceSample
from edgeseg.data.instances.open import open_instances
from edgeseg_runtime.errors import DatasetError
from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.preprocess import Mask

Bits = npt.NDArray[np.bool_]


def full(region: Region, height: int, width: int) -> Bits:
    """Return a region as a mask of the whole picture."""
    mask = np.zeros((height, width), np.bool_)
    rows, columns = region.inside.shape
    mask[region.top : region.top + rows, region.left : region.left + columns] = region.inside
    return mask


def whole(mask: npt.ArrayLike) -> Region:
    """Return a mask of the whole picture as a region."""
    return Region(0, 0, np.asarray(mask, np.bool_))


def drawn(sample: InstanceSample) -> list[tuple[int, Mask]]:
    """Return the label and the whole mask, 0 and 1, of each object that is no crowd."""
    return [(each.label, bits(each, sample)) for each in sample.instances if not each.crowd]


def bits(instance: Instance, sample: InstanceSample) -> Mask:
    """Return an object's whole mask, 0 and 1."""
    return full(instance.region, *sample.image.shape[:2]).astype(np.uint8)


def samples(root: Path, split: str, format: str = "auto") -> dict[str, InstanceSample]:
    """Open a split and return its samples by name."""
    data = open_instances(str(root), split, format=format)
    return {data.name(index): data.read(index) for index in range(len(data))}


def refusal(root: Path, split: str, format: str = "auto") -> str:
    """Return what is said when a split is refused."""
    with pytest.raises(DatasetError) as caught:
        open_instances(str(root), split, format=format)
    return str(caught.value)
