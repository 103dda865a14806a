from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from edgeseg.data.likeness import ALIKE, Groups, correlation, fingerprint, twins
from edgeseg.data.procedural import ProceduralData, ProceduralSpec, procedural_clip
from edgeseg_runtime.preprocess import Image


@pytest.fixture(scope="module")
def pictures() -> list[Image]:
    data = ProceduralData(ProceduralSpec(n=60), "train")
    return [data.read(index).image for index in range(60)]


def changes(image: Image) -> dict[str, Image]:
    jpeg = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)
    small = cv2.resize(image, (64, 48), interpolation=cv2.INTER_AREA)
    bright = np.clip(image * 1.2 + 10, 0, 255).astype(np.uint8)
    return {"jpeg": jpeg, "small": small, "bright": bright}


def test_copies_are_alike_and_other_pictures_are_not(pictures: list[Image]) -> None:
    for image in pictures[:10]:
        for name, changed in changes(image).items():
            assert correlation(fingerprint(image), fingerprint(changed)) > ALIKE, name
    prints = [fingerprint(image) for image in pictures]
    assert list(twins(prints)) == []


def test_correlation_is_numpys(pictures: list[Image]) -> None:
    first, second = fingerprint(pictures[0]), fingerprint(pictures[1])
    expected = np.corrcoef(first.fine.ravel(), second.fine.ravel())[0, 1]
    assert correlation(first, second) == pytest.approx(expected, abs=1e-5)


def test_twins_are_found_wherever_they_are(pictures: list[Image]) -> None:
    shuffled = [*pictures[:20], pictures[3], *pictures[20:30], changes(pictures[3])["jpeg"], pictures[25]]
    found = {i: js.tolist() for i, js in twins([fingerprint(image) for image in shuffled])}
    assert found == {3: [20, 31], 20: [31], 26: [32]}


def test_mirror_images_are_twins_and_pictures_upside_down_are_not(pictures: list[Image]) -> None:
    mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in pictures[:12]]
    changed = [changes(mirrored[k])["jpeg"] for k in range(12)]
    prints = [fingerprint(image) for image in [*pictures[:12], *changed, *(image[::-1] for image in mirrored)]]
    assert {i: js.tolist() for i, js in twins(prints)} == {k: [12 + k] for k in range(12)}


def test_frames_of_a_clip_are_twins() -> None:
    prints = [fingerprint(scene.image) for scene in procedural_clip(6, (96, 128), seed=1)]
    assert correlation(prints[0], prints[1]) > ALIKE


def test_the_same_pixels_have_the_same_digest(pictures: list[Image]) -> None:
    one, other = fingerprint(pictures[0]), fingerprint(pictures[0].copy())
    assert one.digest == other.digest
    changed = pictures[0].copy()
    changed[5, 7, 1] ^= 1
    assert fingerprint(changed).digest != one.digest
    assert fingerprint(pictures[0].reshape(128, 96, 3)).digest != one.digest


def test_flat_pictures_resemble_nothing() -> None:
    flat = [fingerprint(np.full((40, 40, 3), level, np.uint8)) for level in (0, 90, 255)]
    assert list(twins(flat)) == []
    assert correlation(flat[0], flat[0]) == 0


def test_no_pictures() -> None:
    assert list(twins([])) == []


@given(st.integers(1, 30), st.data())
def test_groups_are_connected_components(count: int, data: st.DataObject) -> None:
    pair = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    pairs = data.draw(st.lists(pair, max_size=40))
    groups = Groups(count)
    for one, other in pairs:
        groups.join(one, [other])
    rows, columns = [a for a, _ in pairs], [b for _, b in pairs]
    graph = coo_array((np.ones(len(pairs)), (rows, columns)), shape=(count, count))
    _, expected = connected_components(graph, directed=False)
    found = list(groups)
    assert sorted(k for group in found for k in group) == list(range(count))
    assert all(len({expected[k] for k in group}) == 1 for group in found)
    assert len(found) == len(set(expected.tolist()))
    assert all(group == sorted(group) for group in found)
