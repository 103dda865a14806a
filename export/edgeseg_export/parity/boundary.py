"""Where classes meet: the band around the edges of a mask, and how well two sets of contours match."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.preprocess import Mask

NO_CONTOUR = 255
"""Value of pixels in a contour map that lie on no contour."""

Counts = npt.NDArray[np.int64]
Offsets = npt.NDArray[np.intp]


def edge_pixels(mask: Mask) -> npt.NDArray[np.bool_]:
    """Return which pixels have one of their four neighbours in another class. The picture's border is no edge."""
    edges = np.zeros(mask.shape, np.bool_)
    rows, columns = mask[1:] != mask[:-1], mask[:, 1:] != mask[:, :-1]
    edges[1:] |= rows
    edges[:-1] |= rows
    edges[:, 1:] |= columns
    edges[:, :-1] |= columns
    return edges


def edge_band(mask: Mask, distance: int) -> npt.NDArray[np.bool_]:
    """Return the pixels whose centre is at most `distance` pixels (Euclidean) from that of an edge pixel.

    The two pixels on either side of a straight edge are edge pixels, so the band around it is 2 (`distance` + 1) wide.
    This is the trimap of Kohli, Ladický and Torr, "Robust higher order potentials for enforcing label consistency"
    (IJCV 2009), section 6, where scores are taken close to class edges only.
    """
    y, x = np.mgrid[-distance : distance + 1, -distance : distance + 1]
    disc = (y * y + x * x <= distance * distance).astype(np.uint8)
    return cv2.dilate(edge_pixels(mask).astype(np.uint8), disc).astype(np.bool_)


def contour_tolerance(height: int, width: int, share: float) -> float:
    """Return the distance in pixels at which contours count as matched: `share` of the picture's diagonal."""
    return share * float(np.hypot(height, width))


def contour_map(mask: Mask, truth: Mask, ignore_index: int) -> Mask:
    """Return `mask` on its contours and NO_CONTOUR elsewhere.

    A contour pixel of a class has a four-neighbour in another class. Pixels that `truth` ignores belong to no class:
    they have no contour, and a border to them is none, so that the outline of an ignored region is never scored.
    """
    ignored = truth == ignore_index
    edges = np.zeros(mask.shape, np.bool_)
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        meet = (mask[one] != mask[other]) & ~ignored[one] & ~ignored[other]
        edges[one] |= meet
        edges[other] |= meet
    return np.where(edges, mask, np.uint8(NO_CONTOUR)).astype(np.uint8)


def match_contours(predicted: Mask, truth: Mask, tolerance: float, classes: int) -> Counts:
    """Count contour pixels per class: int64 (classes, 4), columns matched predicted, predicted, matched truth, truth.

    A pixel is matched if the other map has a contour pixel of the same class at most `tolerance` pixels away.
    """
    forward, backward = _matched(predicted, truth, tolerance, classes), _matched(truth, predicted, tolerance, classes)
    return np.concatenate([forward, backward], axis=1)


def boundary_f(counts: Counts) -> npt.NDArray[np.float64]:
    """Return the boundary F-measure per class from `match_contours` counts (…, classes, 4); NaN without true contour.

    Csurka, Larlus and Perronnin, "What is a good evaluation measure for semantic segmentation?" (BMVC 2013): precision
    is the share of predicted contour close to true contour of its class, recall the reverse, F = 2 P R / (P + R).
    Theirs is a mean over pictures; here the pixels of all pictures are counted first, as is usual for IoU.
    """
    hit, predicted, found, truth = (counts[..., column].astype(np.float64) for column in range(4))
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall = np.where(predicted > 0, hit / predicted, 0.0), np.where(truth > 0, found / truth, 0.0)
        f = np.where(precision + recall > 0, 2 * precision * recall / (precision + recall), 0.0)
    return np.where(truth > 0, f, np.nan)


def _matched(points: Mask, target: Mask, tolerance: float, classes: int) -> Counts:
    """Return (classes, 2): how many contour pixels of `points` find their class in `target`, and how many there are."""
    reach = int(tolerance)
    # A frame of "no contour" around the target lets every offset be added without a look at the borders.
    padded = cv2.copyMakeBorder(target, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=(NO_CONTOUR,))
    rows, columns = np.nonzero(points != NO_CONTOUR)
    labels = points[rows, columns]
    total = np.bincount(labels, minlength=classes)
    stride = target.shape[1] + 2 * reach
    places = (rows + reach) * stride + columns + reach
    flat = padded.ravel()
    # Nearest first, and what has matched is dropped: two good masks match almost everywhere at once.
    for offset in _disc_offsets(tolerance, stride):
        missing = flat[places + offset] != labels
        places, labels = places[missing], labels[missing]
        if not places.size:
            break
    return np.stack([total - np.bincount(labels, minlength=classes), total], axis=1).astype(np.int64)


@lru_cache(maxsize=16)
def _disc_offsets(tolerance: float, stride: int) -> Offsets:
    """Return the offsets within `tolerance` pixels in an array with rows of `stride`, nearest first."""
    reach = int(tolerance)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    square = y * y + x * x
    order = np.argsort(square, kind="stable")
    order = order[square[order] <= tolerance * tolerance]
    offsets: Offsets = (y[order] * stride + x[order]).astype(np.intp)
    return offsets
