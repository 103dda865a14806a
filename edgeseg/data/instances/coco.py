"""COCO's objects, and what is asked of the file beyond what class masks need: ids that differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgeseg.data import coco
from edgeseg.data.coco_truth import CocoShapes
from edgeseg.data.drawn import PaintedTruth
from edgeseg.data.files import Layout, Pairing, Problem
from edgeseg.data.instances.files import ObjectLayout, from_shapes


def recognise(root: Path) -> ObjectLayout | None:
    """Return the layout if `root` holds COCO instances, else None. Raises DatasetError."""
    layout = coco.recognise_instances(root)
    if layout is None:
        return None
    splits = {split: _with_repeats(layout, pairing) for split, pairing in layout.splits.items()}
    return replace(from_shapes(layout, str(root)), splits=splits)


def _with_repeats(layout: Layout, pairing: Pairing) -> Pairing:
    """Return a split with a problem for each id that several annotations have; --skip-bad keeps all of them."""
    assert isinstance(layout.read_truth, PaintedTruth) and isinstance(layout.read_truth.shapes, CocoShapes)
    files = layout.read_truth.shapes.files
    problems = [
        Problem(path, f"annotation {number}: its id is given more than once, so objects may be there twice")
        for path in dict.fromkeys(pair.mask for pair in pairing.pairs)
        for number in files[path].repeated
    ]
    return replace(pairing, problems=(*pairing.problems, *problems))
