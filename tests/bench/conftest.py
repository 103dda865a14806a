"""What the tests of measuring scripts share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.torch_threads import one_torch_thread


@pytest.fixture
def one_thread() -> Iterator[None]:
    """See `one_torch_thread`."""
    with one_torch_thread():
        yield
