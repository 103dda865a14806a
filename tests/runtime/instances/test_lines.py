from __future__ import annotations

from dataclasses import replace

import pytest

from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.instances.lines import CountLine, check_lines

DOOR = CountLine("door", (0.25, 0.5), (0.75, 0.5))


def test_a_line_is_read_as_it_is_written() -> None:
    assert CountLine.parse("door=0.25,0.5,0.75,0.5") == DOOR
    assert CountLine.parse("Haus tür= 0, 1e-1 ,1,.5") == CountLine("Haus tür", (0, 0.1), (1, 0.5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.1,0.2,0.3,0.4", "NAME=x0,y0,x1,y1"),
        ("door=0.1,0.2,0.3", "NAME=x0,y0,x1,y1"),
        ("door=0.1,0.2,0.3,0.4,0.5", "NAME=x0,y0,x1,y1"),
        ("door=a,b,c,d", "NAME=x0,y0,x1,y1"),
        ("door=1.1.1,0,0,0", "NAME=x0,y0,x1,y1"),
        ("door=nan,0,0,0", "NAME=x0,y0,x1,y1"),
        ("=0,0,1,1", "NAME=x0,y0,x1,y1"),
        (" =0,0,1,1", "printable name"),
        ("door=0,0,1,1.5", "must be in 0..1"),
        ("door=0,0,1,1e999", "must be in 0..1"),
        ("door=0.5,0.5,0.5,0.5", "nothing can cross it"),
    ],
)
def test_what_is_no_line_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CountLine.parse(text)


def test_lines_need_names_of_their_own_and_an_end() -> None:
    with pytest.raises(ConfigError, match="two lines are named 'door'"):
        check_lines([DOOR, replace(DOOR, start=(0, 0))])
    with pytest.raises(ConfigError, match="at most 64"):
        check_lines([replace(DOOR, name=str(number)) for number in range(65)])
