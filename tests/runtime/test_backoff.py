from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.backoff import doubled


def test_waits_double_up_to_a_limit() -> None:
    assert [doubled(0.25, 5.0, failures) for failures in range(7)] == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


@given(st.floats(0.01, 10), st.floats(10, 1000), st.integers(0, 10**6))
def test_they_never_shrink_nor_pass_the_limit(first: float, most: float, failures: int) -> None:
    wait = doubled(first, most, failures)
    assert first <= wait <= most
    assert doubled(first, most, failures + 1) >= wait
    if wait < most:
        assert doubled(first, most, failures + 1) == pytest.approx(min(most, 2 * wait))
