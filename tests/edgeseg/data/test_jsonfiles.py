from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg.data.base import BadFileError
from edgeseg.data.jsonfiles import list_items, read_json, read_span

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(max_size=5), values, max_size=4), st.booleans(), st.sampled_from([None, 1]))
def test_lists_are_read_as_json_reads_them(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any], ascii_only: bool, indent: int | None
) -> None:
    path = tmp_path_factory.mktemp("j") / "x.json"
    text = json.dumps(content, ensure_ascii=ascii_only, indent=indent)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return  # half a character is no UTF-8
    found = list(list_items(path))
    expected = [(name, item) for name, value in content.items() if isinstance(value, list) for item in value]
    assert [(item.name, item.value) for item in found if item.name.isascii()] == [
        pair for pair in expected if pair[0].isascii()
    ]
    assert [read_span(path, item.start, item.end) for item in found] == [value for _, value in expected]


def test_a_byte_order_mark_is_no_matter(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"\xef\xbb\xbf" + b'{"a": [{"n": "\xc3\xa9"}]}')
    ((_, value, start, end),) = list_items(path)
    assert value == read_span(path, start, end) == {"n": "é"}
    assert read_json(path) == {"a": [value]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        '{"a": [1',
        '{"a": [1 2]}',
        '{"a" [1]}',
        '{"a": nope}',
        "{a: 1}",
        '{"a": [' + "[" * 200_000,
        '{"a": ["\xff"]}',
    ],
)
def test_what_is_no_json_is_said(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadFileError, match=r"x\.json: is not JSON"):
        list(list_items(path))
    if text != "[1]":
        with pytest.raises(BadFileError, match=r"x\.json: is not JSON"):
            read_json(path)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with path.open("wb") as handle:
        handle.truncate((2 << 30) + 1)  # takes no room on disk
    with pytest.raises(BadFileError, match=r"x\.json: has 2\.0 GiB; at most 2 are read: divide it"):
        read_json(path)


def test_damage_in_a_huge_file_is_found_without_reading_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with path.open("wb") as handle:
        handle.write(b'{"a": [1, "')
        handle.truncate((2 << 30) + 1)
    tracemalloc.start()
    with pytest.raises(BadFileError, match=r"x\.json: is not JSON"):
        list(list_items(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 600 << 20


def test_values_and_marks_may_lie_across_the_pieces_that_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {"info": {"é": [1, {"b": None}]}, "a": [12345, -1.5e3, 'x\\"é', True, {"k": [[1, 2], []]}, 77], "b": []}
    path = tmp_path / "x.json"
    for indent in (None, 3):
        path.write_text(json.dumps(content, ensure_ascii=False, indent=indent), encoding="utf-8")
        for size in range(1, 40):
            monkeypatch.setattr("edgeseg.data.jsonfiles._PIECE", size)
            found = list(list_items(path))
            assert [item.value for item in found] == content["a"]
            assert [read_span(path, item.start, item.end) for item in found] == content["a"]


def test_a_value_longer_than_any_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"a": ["' + "b" * 5000 + '"]}')
    assert len(list(list_items(path))) == 1
    monkeypatch.setattr("edgeseg.data.jsonfiles._PIECE", 100)
    monkeypatch.setattr("edgeseg.data.jsonfiles._LONGEST", 1000)
    with pytest.raises(BadFileError, match="is not JSON: Unterminated string"):
        list(list_items(path))


def test_a_large_file_is_read_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    element = json.dumps({"id": 1, "segmentation": [[0.5] * 200], "image_id": 7})
    count = 12_000
    with path.open("w") as handle:
        handle.write('{"images": [], "annotations": [')
        handle.writelines(f"{element}, " for _ in range(count - 1))
        handle.write(element + "]}")
    size = path.stat().st_size
    assert size > 12_000_000
    tracemalloc.start()
    found, last = 0, None
    for item in list_items(path):
        found, last = found + 1, item
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == count and last is not None
    assert last.end == size - 2 and read_span(path, last.start, last.end) == last.value
    assert peak < 6_000_000


def test_files_that_are_gone_or_changed(tmp_path: Path) -> None:
    with pytest.raises(BadFileError, match=r"x\.json: cannot be read: No such file"):
        read_json(tmp_path / "x.json")
    path = tmp_path / "y.json"
    path.write_text('{"a": [{"b": 1}]}')
    (item,) = list_items(path)
    path.write_text('{"a": [77, {"b": 1}]}')
    with pytest.raises(BadFileError, match=r"y\.json: has changed since it was opened"):
        read_span(path, item.start, item.end)
