"""The gate's numbers and pictures on one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from edgeseg_export.parity.cells import Entry, badge, class_table, summary_table, swatch
from edgeseg_export.parity.compare import Reference
from edgeseg_export.parity.tiles import GAINED, LOST, OTHER, difference_picture, mask_picture, photo
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.files import write_text
from edgeseg_runtime.preprocess import Mask

__all__ = ["Entry", "write_report"]


def write_report(
    path: Path, title: str, reference: Reference, entries: Sequence[Entry], facts: Mapping[str, str]
) -> None:
    """Write one HTML file with everything inside it: tables, verdicts and the pictures that agree least.

    `facts` is what a reader needs to make the page again (checkpoint, command, versions), shown as it is given.
    """
    template = Template(files("edgeseg_export.parity").joinpath("report.html").read_text("utf-8"))
    page = template.substitute(
        title=escape(title),
        lead=_lead(reference, entries),
        summary=summary_table(entries),
        explanation=_explanation(reference),
        classes=class_table(entries, reference.contract),
        legend="".join(f"<li>{swatch(each.color)}{escape(each.name)}</li>" for each in reference.contract.labels),
        differences=_difference_legend(),
        artifacts="".join(_section(entry, reference) for entry in entries),
        facts="".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items()),
    )
    write_text(path, page)


def _lead(reference: Reference, entries: Sequence[Entry]) -> str:
    compared = f"Masks of {len(entries)} exported files beside the original's on {len(reference.names)} pictures"
    refused = [entry for entry in entries if not entry.verdict.passed]
    if not refused:
        return f"<p>{compared}: all passed.</p>"
    lines = (f"{entry.name}: {line}" for entry in refused for line in entry.verdict.failure_lines())
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<p>{compared}: <strong>{len(refused)} refused.</strong></p><ul>{items}</ul>"


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


def _section(entry: Entry, reference: Reference) -> str:
    verdict = entry.verdict
    lines = [*(f"refused: {finding}" for finding in verdict.failures), *(f"warning: {it}" for it in verdict.warnings)]
    items = "".join(f"<li>{escape(line)}</li>" for line in [*lines, *verdict.notes])
    shown = [index for index in entry.comparison.worst if entry.comparison.agreement[index] < 1]
    rows = "".join(_row(entry, index, reference) for index in shown)
    if not shown:
        rows = "<p>Every mask is the original's, to the pixel.</p>"
    return f"<h3>{escape(entry.name)} {badge(verdict)}</h3><ul>{items}</ul>{rows}"


def _row(entry: Entry, index: int, reference: Reference) -> str:
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
    figures = "".join(
        f'<figure><img src="{uri}" alt="{kind} of {escape(picture.name)}"><figcaption>{kind}</figcaption></figure>'
        for kind, uri in tiles
    )
    share, (agree, near) = entry.comparison.agreement[index], entry.comparison.band[index]
    differing = int((original != artifact).sum())
    edges = f", near edges {100 * agree / near:.2f} %" if near else ""
    numbers = f"{100 * share:.3f} % of pixels agree ({differing:,} differ){edges}"
    return f'<div class="row"><p><strong>{escape(picture.name)}</strong> {numbers}</p>{_tiles(figures)}</div>'


def _tiles(figures: str) -> str:
    return f'<div class="tiles">{figures}</div>'
