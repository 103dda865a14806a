"""Outlines of pixels, exact: what they enclose is those pixels again.

They run along the edges between pixels, whose corners are whole numbers, the first pixel reaching from 0 to 1.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.instances.region import Region

Points = npt.NDArray[np.float64]
"""(n, 2) of x, y; the last is joined to the first."""


def rings(region: Region) -> list[Points]:
    """Return the closed lines around a region's parts, clockwise, and its holes, the other way round.

    They enclose it by the even-odd and by the nonzero rule.

    Where two corners of the outline are in a row of the grid, every other stretch between them is an edge, and so it is
    in a column: from corner to corner, across and down in turns, each line leads back to where it began.
    """
    framed = np.pad(region.inside, 1)
    a, b, c, d = framed[:-1, :-1], framed[:-1, 1:], framed[1:, :-1], framed[1:, 1:]
    touching = (a == d) & (b == c) & (a != b)  # two pixels that meet at a point: it is a corner of both
    rows, columns = np.nonzero((a ^ b ^ c ^ d) | touching)
    times = 1 + touching[rows, columns]
    rows, columns = np.repeat(rows, times), np.repeat(columns, times)
    order = np.lexsort((np.arange(len(rows)), columns))
    down = np.empty_like(order)
    down[order[0::2]], down[order[1::2]] = order[1::2], order[0::2]
    points = np.column_stack([columns + region.left, rows + region.top]).astype(np.float64)
    inner = d[rows, columns].tolist()
    below, seen = down.tolist(), [False] * len(down)
    found = []
    for start in range(len(below)):
        ring, place = [], start
        while not seen[place]:
            across = place ^ 1  # np.nonzero goes along the rows
            seen[place] = seen[across] = True
            ring += [place, across]
            place = below[across]
        if ring:  # its first edge goes to the right: clockwise, if what is below that edge is inside
            found.append(points[ring if inner[start] else ring[::-1]])
    return found


def outline(region: Region) -> Points:
    """Return one closed line around a region with at least one pixel, for formats that know nothing else.

    To each further part or hole it goes and comes back by the same way, which by either filling rule encloses nothing.
    """
    first, *others = rings(region)
    home = first[:1]
    return np.concatenate([first, *(points for ring in others for points in (home, ring, ring[:1]))])


def parts(region: Region) -> list[Region]:
    """Return the pieces of a region whose pixels meet at edges, from the top."""
    count, numbers = cv2.connectedComponents(region.inside.astype(np.uint8), connectivity=4)
    pieces = []
    for number in range(1, count):
        inside = numbers == number
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        pieces.append(Region(region.top + int(rows[0]), region.left + int(columns[0]), inside[box]))
    return pieces
