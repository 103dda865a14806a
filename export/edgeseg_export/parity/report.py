"""The gate's numbers and pictures on one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from edgeseg_export.parity.cells import class_table, summary_table
from edgeseg_export.parity.compare import Reference
from edgeseg_export.parity.comparison import Comparison
from edgeseg_export.parity.entry import Entry
from edgeseg_export.parity.html import swatch
from edgeseg_export.parity.page import Page, lead, row, section, write_page
from edgeseg_export.parity.tiles import GAINED, LOST, OTHER, difference_picture, mask_picture, photo
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.preprocess import Mask

__all__ = ["Entry", "write_report"]


def write_report(
    path: Path, title: str, reference: Reference, entries: Sequence[Entry[Comparison]], facts: Mapping[str, str]
) -> None:
    """Write one HTML file with everything inside it: tables, verdicts and the pictures that agree least.

    `facts` is what a reader needs to make the page again (checkpoint, command, versions), shown as it is given.
    """
    page = Page(
        lead=lead(f"Masks of {len(entries)} exported files beside the original's", len(reference.names), entries),
        summary=summary_table(entries),
        explanation=_explanation(reference),
        classes=class_table(entries, reference.contract),
        legend="".join(f"<li>{swatch(each.color)}{escape(each.name)}</li>" for each in reference.contract.labels),
        differences=_difference_legend(),
        artifacts="".join(_section(entry, reference) for entry in entries),
    )
    write_page(path, title, page, facts)


def _explanation(reference: Reference) -> str:
    settings = reference.settings
    return (
        "Original: PyTorch, float32, through the same resizing and decoding. “Near edges” is within "
        f"{settings.edge_distance} px of where classes meet in the original's mask. Drops are in points (0 to 100) "
        "against the truth, positive where the artifact lost; in brackets the 95 % interval of a paired bootstrap over "
        f"pictures ({settings.resamples} resamples). Boundary F matches contours within "
        f"{100 * settings.contour_share:g} % of the diagonal. A class is judged, and counted in the means, from "
        f"{settings.min_class_pixels} true pixels on {settings.min_class_pictures} pictures."
    )


def _difference_legend() -> str:
    meanings = ((LOST, "the original was right"), (GAINED, "the artifact is right"), (OTHER, "neither, or not known"))
    return "".join(f"<li>{swatch(color[::-1])}differs, {meaning}</li>" for color, meaning in meanings)


def _section(entry: Entry[Comparison], reference: Reference) -> str:
    shown = [index for index in entry.comparison.worst if entry.comparison.agreement[index] < 1]
    rows = "".join(_row(entry, index, reference) for index in shown)
    return section(entry.name, entry.verdict, rows or "<p>Every mask is the original's, to the pixel.</p>")


def _row(entry: Entry[Comparison], index: int, reference: Reference) -> str:
    """One picture side by side: frame, truth, both masks, difference."""
    picture, original, artifact = reference.pictures[index], reference.masks[index], entry.comparison.worst[index]
    table = color_table(reference.contract)

    def colored(mask: Mask) -> str:
        return mask_picture(mask, table)

    tiles = [("frame", photo(picture.image))]
    if picture.truth is not None:
        tiles.append(("truth", colored(picture.truth)))
    tiles += [
        ("original", colored(original)),
        ("artifact", colored(artifact)),
        ("difference, thickened", difference_picture(picture.truth, original, artifact, table)),
    ]
    share, (agree, near) = entry.comparison.agreement[index], entry.comparison.band[index]
    differing = int((original != artifact).sum())
    edges = f", near edges {100 * agree / near:.2f} %" if near else ""
    numbers = f"{100 * share:.3f} % of pixels agree ({differing:,} differ){edges}"
    return row(picture.name, numbers, tiles)
