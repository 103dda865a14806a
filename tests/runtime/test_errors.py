from __future__ import annotations

import re

import pytest

from edgeseg_runtime import errors
from edgeseg_runtime.errors import EdgesegError, GateFailed, MissingExtraError, UserError

ALL = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, EdgesegError)]


def drawn_tree() -> dict[str, str]:
    """Return each error's parent as the docstring's picture has it."""
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"^([\s│├└─]*)([A-Z]\w*(?:Error|Failed))\b", line):
            depth = len(found.group(1))
            above = [(column, name) for column, name in above if column < depth]
            if above:
                parents[found.group(2)] = above[-1][1]
            above.append((depth, found.group(2)))
    return parents


def test_the_picture_in_the_docstring_is_the_tree() -> None:
    real = {kind.__name__: kind.__bases__[0].__name__ for kind in ALL if kind is not EdgesegError}
    assert drawn_tree() == real


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_exit_codes_tell_a_mistake_from_a_failed_gate(kind: type[EdgesegError]) -> None:
    assert kind.exit_code == (1 if issubclass(kind, GateFailed) else 2)


def test_a_failed_gate_is_no_user_error() -> None:
    assert not issubclass(GateFailed, UserError)


def test_a_missing_extra_names_the_pip_line() -> None:
    error = MissingExtraError("openvino", "openvino")
    assert str(error) == "openvino is not installed; install it with: pip install 'edgeseg[openvino]'"
    assert (error.package, error.extra) == ("openvino", "openvino")
