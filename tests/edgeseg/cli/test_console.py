from __future__ import annotations

import pytest

from edgeseg.cli.console import table


def test_names_are_nobodys_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table("of [/x]", ["class", "[red]"], [["pole [thin]", ":car:"]])
    out = capsys.readouterr().out
    assert all(text in out for text in ("of [/x]", "[red]", "pole [thin]", ":car:"))


def test_a_long_sentence_cuts_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [[f"row {number}", *[f"{number}.123456"] * 9, "because " * 40] for number in range(3)]
    table("title", ["name", *["a long header"] * 9, "verdict"], rows, sentences=True)
    out = capsys.readouterr().out
    assert "…" not in out
    assert out.count("1.123456") == 9 and out.count("because") == 120
