from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.recording.boxes import boxes, sound_length


def box(kind: bytes, size: int, wide: bool = False) -> bytes:
    if wide:
        return struct.pack(">I4sQ", 1, kind, 16 + size) + bytes(size)
    return struct.pack(">I4s", 8 + size, kind) + bytes(size)


HEAD = box(b"ftyp", 20) + box(b"free", 0) + box(b"moov", 300)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("boxes") / "file"


@given(
    fragments=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 200), st.booleans()), max_size=6),
    cut=st.integers(0, 2000),
    index=st.booleans(),
)
def test_a_file_cut_off_anywhere_is_sound_up_to_the_last_whole_fragment(
    place: Path, fragments: list[tuple[int, int, bool]], cut: int, index: bool
) -> None:
    data, ends = HEAD, []
    for about, frames, wide in fragments:
        data += box(b"moof", about) + box(b"mdat", frames, wide)
        ends.append(len(data))
    data += box(b"moov", 100) if index else b""  # the index was written, but the file was not turned into a plain one
    place.write_bytes(data[:cut])
    with place.open("rb") as file:
        assert sound_length(file) == max((end for end in ends if end <= cut), default=0)


@given(cut=st.integers(0, 1100))
def test_a_plain_file_is_sound_as_a_whole_or_not_at_all(place: Path, cut: int) -> None:
    data = box(b"ftyp", 20) + box(b"free", 0) + box(b"mdat", 700) + box(b"moov", 300)
    place.write_bytes(data[:cut])
    with place.open("rb") as file:
        assert sound_length(file) == (len(data) if cut >= len(data) else 0)


@given(st.binary(max_size=300))
def test_rubbish_is_read_without_harm(place: Path, data: bytes) -> None:
    place.write_bytes(data)
    with place.open("rb") as file:
        found = list(boxes(file))
        assert all(one.end - one.start >= 8 for one in found)
        assert 0 <= sound_length(file) <= len(data)


def test_a_box_with_a_length_that_makes_no_way_ends_the_search(place: Path) -> None:
    place.write_bytes(HEAD + struct.pack(">I4s", 4, b"moof") + bytes(50))
    with place.open("rb") as file:
        assert [one.kind for one in boxes(file)] == [b"ftyp", b"free", b"moov"]
