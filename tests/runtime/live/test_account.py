from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.live.account import Account, Ledger


@given(
    st.lists(st.sampled_from(["inferred", "reused", "failed", "overtaken", "no mask", "stopped"])), st.integers(0, 9)
)
def test_what_is_in_flight_is_what_was_captured_and_not_yet_booked(fates: list[str], waiting: int) -> None:
    ledger = Ledger()
    ledger.captured(len(fates) + waiting)
    for fate in fates:
        if fate in ("inferred", "reused", "failed"):
            ledger.book(fate)  # type: ignore[arg-type]
        else:
            ledger.drop(fate)  # type: ignore[arg-type]
    account = ledger.account()
    assert account.in_flight == waiting
    assert account.inferred == fates.count("inferred") and account.failed == fates.count("failed")
    assert account.dropped == {
        cause: fates.count(cause) for cause in ("overtaken", "no mask", "stopped") if cause in fates
    }
    assert account.as_dict()["in_flight"] == waiting


def test_counting_from_several_threads_loses_nothing() -> None:
    ledger = Ledger()

    def work() -> None:
        for _ in range(2000):
            ledger.captured()
            ledger.book("inferred")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.account() == Account(captured=8000, inferred=8000)
