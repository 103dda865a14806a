"""How long work reports its progress without knowing who looks: a wrapper around an iterable."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Yields the items unchanged and shows how far it is."""

    def __call__(self, items: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:
        """Iterate over `items`; `total` is needed where they have no length."""
        ...


def silent(items: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:  # noqa: ARG001
    """Show nothing."""
    return items
