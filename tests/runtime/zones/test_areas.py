from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg_runtime.preprocess import Mask
from edgeseg_runtime.zones import Zone, ZoneAreas, ZoneShares
from edgeseg_runtime.zones import areas as areas_module
from edgeseg_runtime.zones.file import MOST_ZONES

NAMES = ("sky", "road", "car")


def by_counting(zones: list[Zone], mask: Mask) -> ZoneShares:
    """Pixel by pixel."""
    answer: ZoneShares = {}
    for zone in zones:
        inside = zone.inside(*mask.shape)
        seen = [int(mask[row, column]) for row, column in zip(*np.nonzero(inside), strict=True)]
        answer[zone.name] = {name: seen.count(index) / len(seen) for index, name in enumerate(NAMES)} if seen else {}
    return answer


unit = st.floats(0, 1)
corners = st.lists(st.tuples(unit, unit), min_size=3, max_size=6, unique=True).map(tuple)


@settings(deadline=None)
@given(st.lists(corners, max_size=6), st.integers(1, 24), st.integers(1, 24), st.integers(0, 2**31))
def test_shares_are_those_of_counting_pixel_by_pixel(
    polygons: list[tuple[tuple[float, float], ...]], height: int, width: int, seed: int
) -> None:
    zones = [Zone(f"z{place}", points) for place, points in enumerate(polygons)]
    mask = np.random.default_rng(seed).choice(np.array([0, 1, 2, 255], np.uint8), (height, width))
    shares = ZoneAreas(zones).shares(mask, NAMES)
    expected = by_counting(zones, mask)
    assert shares.keys() == expected.keys()
    for name, classes in expected.items():
        assert shares[name] == pytest.approx(classes)


def test_the_zones_follow_the_frame_size_and_are_drawn_once_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    zone = Zone("left", ((0, 0), (0.5, 0), (0.5, 1), (0, 1)))
    drawn: list[tuple[int, int]] = []
    draw = areas_module._drawn

    def counted(zones: Sequence[Zone], height: int, width: int) -> areas_module._Raster:
        drawn.append((height, width))
        return draw(zones, height, width)

    monkeypatch.setattr(areas_module, "_drawn", counted)
    areas = ZoneAreas([zone])
    for size in ((4, 8), (4, 8), (6, 4), (6, 4)):
        mask = np.zeros(size, np.uint8)
        mask[:, : size[1] // 4] = 2
        assert areas.shares(mask, NAMES) == {"left": {"sky": 0.5, "road": 0.0, "car": 0.5}}
    assert drawn == [(4, 8), (6, 4)]


def test_many_zones_that_overlap_in_more_ways_than_a_byte_counts() -> None:
    rng = np.random.default_rng(1)
    zones = [Zone(str(number), tuple(map(tuple, rng.random((3, 2))))) for number in range(MOST_ZONES)]
    areas, mask = ZoneAreas(zones), rng.integers(0, 3, (60, 80), dtype=np.uint8)
    shares = areas.shares(mask, NAMES)
    assert areas._raster is not None and areas._raster.numbers.dtype == np.uint16
    for name, classes in by_counting(zones, mask).items():
        assert shares[name] == pytest.approx(classes)


def test_pixels_of_no_class_belong_to_the_zone_and_to_no_class() -> None:
    whole = Zone("all", ((0, 0), (1, 0), (1, 1), (0, 1)))
    mask = np.array([[0, 1], [255, 255]], np.uint8)
    assert ZoneAreas([whole]).shares(mask, NAMES) == {"all": {"sky": 0.25, "road": 0.25, "car": 0.0}}


def test_a_zone_too_small_for_a_pixel_has_no_figures() -> None:
    speck = Zone("speck", ((0.51, 0.51), (0.52, 0.51), (0.52, 0.52)))
    assert ZoneAreas([speck]).shares(np.zeros((4, 4), np.uint8), NAMES) == {"speck": {}}
    assert ZoneAreas([]).shares(np.zeros((4, 4), np.uint8), NAMES) == {}
