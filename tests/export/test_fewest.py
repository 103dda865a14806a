from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgeseg_export.fewest import fewest


@given(st.integers(0, 100), st.integers(1, 101))
def test_it_finds_the_first_that_is_enough_with_few_looks(most: int, first: int) -> None:
    looks: list[int] = []

    def enough(count: int) -> bool:
        looks.append(count)
        return count >= first

    assert fewest(enough, most) == (first if first <= most else None)
    assert len(set(looks)) == len(looks) <= 2 * most.bit_length()
    assert all(1 <= count <= most for count in looks)


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_where_more_is_not_always_better_the_answer_was_seen_to_do(answers: list[bool]) -> None:
    found = fewest(lambda count: answers[count - 1], len(answers))
    if found is None:
        assert not answers[-1]
    else:
        assert answers[found - 1] and (found == 1 or not answers[found - 2])
