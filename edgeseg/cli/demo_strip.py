"""One picture of what came out: scenes, their truth, and the masks of the original and of int8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from edgeseg.data.procedural import ProceduralData, ProceduralSpec
from edgeseg.training.checkpoint import load_semantic
from edgeseg_export.deployable import TorchSegmenter
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.draw import color_table, colorize
from edgeseg_runtime.files import atomic_path
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.segmenter import Segmenter

SCENES = 3
COLUMNS = 4
TILE = (214, 286)
"""Height and width of a tile."""
GAP, BAND = 8, 34
INK, PAPER = (40, 40, 40), (255, 255, 255)
FONT, SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.5


def write_strip(path: Path, run: Path, int8: Path, spec: str) -> None:
    """Write a PNG: a row a scene of `spec`'s val split; below them the classes' colours.

    The scenes are drawn at twice their size, which shows more on a page; the model gets them at its own.
    """
    scenes = ProceduralSpec.parse(spec)
    data = ProceduralData(replace(scenes, height=2 * scenes.height, width=2 * scenes.width), "val")
    module, _ = load_semantic(run)
    original, deployed = TorchSegmenter(module), Segmenter.load(int8)
    table = color_table(module.contract)
    rows, same = [], []
    for index in richest(data, SCENES):
        sample = data.read(index)
        masks = original(sample.image), deployed(sample.image).mask
        same.append(np.mean(masks[0] == masks[1]))
        coloured = [colorize(mask, table) for mask in (sample.mask, *masks)]
        rows.append(_row([_fit(picture) for picture in (sample.image, *coloured)]))
    titles = (
        "frame",
        "truth",
        "original, float32 in PyTorch",
        f"deployed, int8: {100 * np.mean(same):.1f} % same pixels",
    )
    picture = np.vstack([_titles(titles), *rows, legend(module.contract, rows[0].shape[1])])
    ok, data_png = cv2.imencode(".png", picture)
    assert ok
    with atomic_path(path) as temporary:
        temporary.write_bytes(data_png.tobytes())


def richest(data: ProceduralData, count: int) -> list[int]:
    """Return the scenes whose truth shows most classes, in order; of equals, the first."""
    classes = [-len(np.unique(data.read(index).mask)) for index in range(len(data))]
    return sorted(np.argsort(classes, kind="stable")[:count].tolist())


def legend(contract: Contract, width: int) -> Image:
    """Draw every class's colour and name in one line of `width` pixels."""
    band = _band(width)
    names = contract.names
    lengths = [18 + _length(name) for name in names]
    space = max(6, (width - 2 * GAP - sum(lengths)) // max(1, len(names) - 1))
    x = GAP
    for label, length in zip(contract.labels, lengths, strict=True):
        cv2.rectangle(band, (x, 11), (x + 12, 23), label.color[::-1], cv2.FILLED)
        cv2.rectangle(band, (x, 11), (x + 12, 23), (170, 170, 170), 1)
        _write(band, label.name, x + 18)
        x += length + space
    return band


def _titles(texts: Sequence[str]) -> Image:
    band = _band(GAP + COLUMNS * (TILE[1] + GAP))
    for column, text in enumerate(texts):
        _write(band, text, GAP + column * (TILE[1] + GAP))
    return band


def _row(tiles: Sequence[Image]) -> Image:
    edge = np.full((TILE[0], GAP, 3), PAPER, np.uint8)
    parts = [edge, *(part for tile in tiles for part in (tile, edge))]
    return np.vstack([np.hstack(parts), np.full((GAP, GAP + COLUMNS * (TILE[1] + GAP), 3), PAPER, np.uint8)])


def _fit(picture: Image) -> Image:
    shrinks = picture.shape[1] >= TILE[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cast(Image, cv2.resize(picture, TILE[::-1], interpolation=how))


def _band(width: int) -> Image:
    return np.full((BAND, width, 3), PAPER, np.uint8)


def _length(text: str) -> int:
    return int(cv2.getTextSize(text, FONT, SCALE, 1)[0][0])


def _write(band: Image, text: str, x: int) -> None:
    cv2.putText(band, text, (x, 22), FONT, SCALE, INK, 1, cv2.LINE_AA)
