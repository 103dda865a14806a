"""From hand-made traces to figures: subjects that do well, and the ones that must be caught."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordeals import absent, four_cameras, gone, judge, password, silent, slow_model, soak
from ordeals.process_tree import Usage
from ordeals.trace import Ended, Said, Shown
from tests.bench.peers_traces import steady, trace

GONE, BACK, END = 10.0, 20.0, 25.0
BEFORE, AFTER = steady(0, GONE), steady(BACK + 1.5, END)


def test_a_subject_that_notices_and_comes_back() -> None:
    figures = gone.figures(trace([*BEFORE, *AFTER], [Said(10.4, "source.state reconnecting")]), GONE, BACK, END)
    assert figures["noticed"] == {"seconds": 0.4, "how": "told", "text": "source.state reconnecting"}
    assert figures["back_seconds"] == pytest.approx(1.5)
    assert figures["given_as_live"] == {"black": 0, "unreadable": 0, "old": 0, "oldest_seconds": 0.05}
    assert gone.cell(figures) == "noticed after 0.40 s (told); back after 1.50 s; nothing false given as live"


def test_a_subject_that_never_notices_and_never_comes_back() -> None:
    figures = gone.figures(trace(BEFORE), GONE, BACK, 40.0)
    assert figures["noticed"] is None and figures["back_seconds"] is None
    assert gone.cell(figures) == "never noticed in 30 s; not back in 20 s; nothing false given as live"


def test_an_old_picture_given_as_live_is_caught() -> None:
    frozen = [Shown(at, 0, 9.95) for at in (10.5, 11.5, 15.0)]
    figures = gone.figures(trace([*BEFORE, *frozen, *AFTER]), GONE, BACK, END)
    assert figures["given_as_live"] == {"black": 0, "unreadable": 0, "old": 2, "oldest_seconds": 5.05}
    assert "given as live: 2 old, oldest 5.0 s" in gone.cell(figures)


def test_black_and_unreadable_pictures_are_caught_and_are_no_recovery() -> None:
    false = [Shown(11.0, 0, None, black=True), Shown(20.5, 0, None, black=True), Shown(20.6, 0, None)]
    figures = gone.figures(trace([*BEFORE, *false]), GONE, BACK, END)
    assert figures["given_as_live"] == {"black": 2, "unreadable": 1, "old": 0, "oldest_seconds": None}
    assert figures["back_seconds"] is None


def test_a_picture_made_before_the_return_is_no_recovery() -> None:
    figures = gone.figures(trace([*BEFORE, Shown(20.2, 0, 9.99), Shown(20.4, 0, 20.3)]), GONE, BACK, END)
    assert figures["back_seconds"] == pytest.approx(0.4)
    assert figures["given_as_live"]["old"] == 1


def test_a_process_that_ends_has_noticed_that_way() -> None:
    figures = gone.figures(trace(BEFORE, ended=Ended(10.7, -11)), GONE, BACK, 10.7)
    assert figures["noticed"] == {"seconds": 0.7, "how": "ended", "text": ""}
    assert "process ended, exit code -11: nothing said" in gone.cell(figures)
    said = [Said(10.5, "ConnectionError: lost | gone", "printed"), Said(10.6, "bye", "printed")]
    figures = gone.figures(trace(BEFORE, said, Ended(10.7, 1)), GONE, BACK, 10.7)
    assert figures["noticed"] == {"seconds": 0.5, "how": "printed", "text": "ConnectionError: lost | gone"}
    assert "process ended, exit code 1: ConnectionError: lost / gone" in gone.cell(figures)


def test_a_subject_that_returns_has_noticed_that_way_however_long_its_process_takes() -> None:
    returned = trace(BEFORE, ended=Ended(17.0, 0))
    returned.done_at = 10.2
    figures = gone.figures(returned, GONE, BACK, 17.0)
    assert figures["noticed"]["seconds"] == 0.2 and figures["noticed"]["how"] == "ended"
    assert figures["ended"] == "returned by itself: nothing said"


def test_what_is_always_said_is_no_sign() -> None:
    """A number or an address in it makes it no other words."""
    chatter = [Said(at, f"[h264 @ 0x{number}f3] frame {number}", "printed") for number, at in enumerate((3, 11, 12))]
    assert gone.figures(trace(BEFORE, chatter), GONE, BACK, END)["noticed"] is None
    sign = gone.figures(trace(BEFORE, [*chatter, Said(13.0, "timeout", "printed")]), GONE, BACK, END)["noticed"]
    assert sign["text"] == "timeout" and sign["seconds"] == 3.0


def test_what_was_said_before_the_first_picture_may_be_said_again() -> None:
    said = [Said(-0.5, "waiting for the camera"), Said(10.3, "waiting for the camera")]
    sign = gone.figures(trace(BEFORE, said), GONE, BACK, END)["noticed"]
    assert sign["seconds"] == 0.3


def test_a_silence_noticed_when_it_is_over_was_not_noticed() -> None:
    figures = silent.figures(trace([*BEFORE, *AFTER], [Said(20.1, "no frames for 10 s")]), GONE, BACK, END)
    assert figures["noticed"] is None
    assert silent.cell(figures).startswith("never noticed in 10 s")


@pytest.mark.parametrize(
    ("stop", "words"),
    [
        ({"seconds": 0.456, "gave_up": False}, "stop while refused 0.46 s"),
        ({"seconds": None, "gave_up": False}, "stop while refused: not in 6 s"),
        ({"seconds": None, "gave_up": True}, "stop while refused: nothing to stop, it had given up"),
    ],
)
def test_a_camera_that_is_absent_at_first(stop: dict[str, object], words: str) -> None:
    figures = absent.figures(trace(steady(16.0, 20.0)), 15.0, 20.0)
    assert figures["connected_seconds"] == pytest.approx(1.0)
    cell = absent.cell({**figures, "stop_refused": stop, "stop_unanswered": stop})
    assert cell.startswith("connected after 1.00 s; ") and words in cell
    black = absent.figures(trace([Shown(15.5, 0, None, black=True)]), 15.0, 35.0)
    assert black["connected_seconds"] is None and black["given_as_live"]["black"] == 1


def test_ages_and_their_trend() -> None:
    """A queue: each picture is given out a hundredth of a second later than the one before."""
    shown = [Shown(n / 10, 0, n / 10 - (0.2 + n / 100), mask_lag=0.1) for n in range(90)]
    figures = slow_model.figures(trace(shown), 0.0, 9.0)
    ages = np.array([0.2 + n / 100 for n in range(90)])
    assert figures["picture_p50"] == pytest.approx(1e3 * np.percentile(ages, 50))
    assert figures["mask_p99"] == pytest.approx(1e3 * np.percentile(ages + 0.1, 99))
    assert figures["mask_first_third_p50"] == pytest.approx(1e3 * np.median(ages[:30] + 0.1))
    assert figures["mask_last_third_p50"] == pytest.approx(1e3 * np.median(ages[60:] + 0.1))
    assert figures["shown_fps"] == 10.0
    assert "first third 445, last third 1045" in slow_model.cell(figures)


def test_no_pictures_have_no_ages() -> None:
    figures = slow_model.figures(trace([], [Said(0.9, "Boom: error", "printed")], Ended(1.0, 1)), 0.0, 9.0)
    assert slow_model.cell(figures) == "process ended, exit code 1: Boom: error"


def test_a_subject_that_ends_halfway_has_no_last_third() -> None:
    figures = slow_model.figures(trace(steady(0, 2)), 0.0, 9.0)
    assert figures["mask_last_third_p50"] is None
    assert "no trend known" in slow_model.cell(figures)


def test_cameras_that_lose_nothing_and_cameras_that_lose_half() -> None:
    good = [one for source in range(3) for one in steady(0, 20, 15.0, source=source)]
    fine = four_cameras.figures(trace([*good, *steady(0, 10, 15.0, source=3)]), 10.0, 10.0)
    assert fine["lost_percent"] == 0.0 and fine["fps_before"] == fine["fps_after"] == 15.0
    slower = [one for one in good if one.at < 10 or round(one.at * 15) % 2]
    assert four_cameras.figures(trace(slower), 10.0, 10.0)["lost_percent"] == pytest.approx(50, abs=0.5)


def test_old_pictures_of_the_other_cameras_are_lost_ones() -> None:
    shown = [one for source in range(3) for one in [*steady(0, 10, source=source), *steady(10, 20, 10.0, 3.0, source)]]
    figures = four_cameras.figures(trace(shown), 10.0, 10.0)
    assert figures["lost_percent"] == 100.0
    assert figures["given_as_live"]["old"] == 300


def test_cameras_that_stop_for_good_leave_a_gap_to_the_end() -> None:
    shown = [one for source in range(3) for one in steady(0, 10, source=source)]
    figures = four_cameras.figures(trace(shown), 10.0, 10.0)
    assert figures["lost_percent"] == 100.0 and figures["longest_gap_after"] == 10.0
    assert four_cameras.figures(trace([]), 10.0, 10.0)["lost_percent"] is None


def test_attempts_and_the_reason() -> None:
    said = [Said(0.2, "connecting to rtsp://joe:…"), Said(0.5, "connecting · auth · 401 Unauthorized")]
    figures = password.figures(trace([], said), refusals=4, end=20.0)
    assert figures["attempts_a_minute"] == 12.0
    assert figures["reason"] == "connecting · auth · 401 Unauthorized"
    assert not figures["password_shown"]


def test_a_password_in_the_clear_is_caught_and_is_not_repeated() -> None:
    said = [Said(0.2, f"Failed to open rtsp://joe:{password.WRONG}@camera", "printed")]
    ended = Ended(0.3, 1)
    figures = password.figures(trace([], said, ended), refusals=1, end=0.3)
    assert figures["password_shown"] and figures["reason"] is None
    assert figures["attempts_a_minute"] is None
    assert password.WRONG not in password.cell(figures) and "reason not named" in password.cell(figures)
    assert "password shown in the clear" in password.cell(figures)


def test_growth_is_a_slope() -> None:
    samples = [Usage(float(at), 10_000_000 + 1000 * at, 20 + at // 60, 5, 3) for at in range(0, 61, 10)]
    figures = soak.figures(trace(steady(0, 60)), samples)
    assert figures["memory_mb_an_hour"] == pytest.approx(3.6)
    assert figures["memory_bytes_a_picture"] == 100
    assert figures["descriptors"] == [20, 21] and figures["threads"] == [5, 5]
    assert "+3.6 MB an hour; descriptors 20 → 21" in soak.cell(figures)


def test_a_subject_that_ended_has_no_growth() -> None:
    figures = soak.figures(trace([], [Said(0.9, "Boom: error", "printed")], Ended(1.0, 1)), [])
    assert soak.cell(figures) == "process ended, exit code 1: Boom: error"


@given(st.lists(st.floats(0, 10), max_size=12))
def test_the_longest_gap_is_the_longest_stretch_without_a_picture(moments: list[float]) -> None:
    shown = [Shown(at, 0, at) for at in sorted(moments)]
    gap = judge.longest_gap(shown, 0.0, 10.0)
    edges = [0.0, *sorted(moments), 10.0]
    widths = [b - a for a in edges for b in edges if b >= a and not any(a < moment < b for moment in moments)]
    assert gap == pytest.approx(max(widths))
