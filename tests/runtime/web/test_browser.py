"""The page in a real browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.events import Events
from edgeseg_runtime.instances.counts import Counts, LineCount
from edgeseg_runtime.instances.lines import CountLine
from edgeseg_runtime.live.account import Account
from edgeseg_runtime.live.status import CameraStatus, ModelStatus, Percentiles, Status
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sources.base import Frame
from edgeseg_runtime.web.controls import Controls, ZoneShape
from edgeseg_runtime.web.options import WebOptions
from edgeseg_runtime.web.packets import Kind
from edgeseg_runtime.web.server import WebServer
from edgeseg_runtime.web.sink import WebSink
from tests.runtime.instances.scripted import CONTRACT as OBJECTS
from tests.runtime.instances.scripted import Thing, scripted
from tests.runtime.web.chromium import BINARY, Chromium
from tests.runtime.web.clients import Producer, shot

if TYPE_CHECKING:
    from tests.runtime.web.conftest import Serving

pytestmark = pytest.mark.skipif(BINARY is None, reason="needs Chromium (Debian's package `chromium`)")

NEW = "document.querySelector('#waiting')?.hidden"
STALE = "!document.querySelector('#stale').hidden"
BANNER = "document.querySelector('#stale').textContent"


@pytest.fixture(scope="module")
def shared_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    made = Chromium(tmp_path_factory.mktemp("chromium"))
    yield made
    made.close()


@pytest.fixture
def browser(shared_browser: Chromium) -> Iterator[Chromium]:
    """The browser, which must have found nothing to complain about when the test is over."""
    yield shared_browser
    errors = list(shared_browser.errors)
    shared_browser.open("about:blank")
    assert errors == []


def pixel(browser: Chromium, x: float, y: float) -> list[int]:
    """Return R, G, B of a place of the picture, in shares of its width and height."""
    return list(
        browser.run(
            "(() => { const c = document.querySelector('#picture');"
            f"return [...c.getContext('2d').getImageData(c.width * {x}, c.height * {y}, 1, 1).data].slice(0, 3); }})()"
        )
    )


def blend(color: tuple[int, int, int], opacity: float, below: int = 100) -> Any:
    """Return what a colour over the grey picture gives, with the slack that a JPEG needs."""
    return pytest.approx([opacity * part + (1 - opacity) * below for part in color], abs=4)


def show(browser: Chromium, server: WebServer) -> None:
    """Open the page and wait for its first picture. What an earlier test left in the browser is forgotten."""
    browser.open(server.link)
    browser.until("document.readyState === 'complete' && location.protocol === 'http:'")
    browser.run("localStorage.clear()")
    browser.open(server.url)
    browser.until(NEW)


def set_opacity(browser: Chromium, percent: int) -> None:
    browser.run(
        "(() => { const s = document.querySelector('#opacity');"
        f"s.value = {percent}; s.dispatchEvent(new Event('input')); }})()"
    )


def test_the_mask_is_a_layer_that_the_browser_paints(
    browser: Chromium, serving: Serving, colour_contract: Contract
) -> None:
    server = serving()
    WebSink(server).write(shot(colour_contract, 2), None)
    show(browser, server)
    red, blue = (255, 0, 0), (0, 0, 255)
    assert pixel(browser, 0.2, 0.5) == blend(red, 0.5)
    assert pixel(browser, 0.8, 0.5) == blend(blue, 0.5)
    encoded = server.encoder.counts[Kind.VIEW]

    browser.click("#legend li:nth-child(1) button")  # red is taken out
    assert pixel(browser, 0.2, 0.5) == blend(red, 0)
    assert pixel(browser, 0.8, 0.5) == blend(blue, 0.5)
    set_opacity(browser, 100)
    assert pixel(browser, 0.2, 0.5) == blend(red, 0)
    assert pixel(browser, 0.8, 0.5) == blend(blue, 1)
    browser.click("#all")
    assert pixel(browser, 0.2, 0.5) == blend(red, 1)
    set_opacity(browser, 20)
    assert pixel(browser, 0.2, 0.5) == blend(red, 0.2)
    browser.click("#none")
    assert pixel(browser, 0.8, 0.5) == blend(blue, 0)
    assert server.encoder.counts[Kind.VIEW] == encoded  # at no cost to the server


@pytest.mark.slow
def test_the_legend_tells_the_share_of_each_class(
    browser: Chromium, serving: Serving, colour_contract: Contract
) -> None:
    server = serving()
    with Producer(server, replace(colour_contract, labels=colour_contract.labels)):
        show(browser, server)
        told = "[...document.querySelectorAll('#legend .name, #legend .share')].map((e) => e.textContent)"
        # the right half is red, green and blue in turn
        shares = browser.until(told, lambda shown: "50.0%" in shown)
        assert shares[::2] == ["red", "green", "blue"] and shares[1] in ("50.0%", "100.0%")
        rate = browser.until(
            "parseFloat(document.querySelector('#fps').textContent)", lambda value: value and value > 2
        )
        assert rate <= 40
        browser.until("document.querySelector('#picture-age').textContent", lambda text: text.endswith("s"))
        drawn = (
            "[...document.querySelector('#graph').getContext('2d').getImageData(51, 0, 9999, 80).data].some(Boolean)"
        )
        browser.until(drawn)


def test_a_picture_that_is_not_live_is_never_shown_as_live(
    browser: Chromium, serving: Serving, colour_contract: Contract
) -> None:
    server = serving()
    with Producer(server, colour_contract):
        show(browser, server)
        browser.until(STALE, lambda stale: not stale)
        time.sleep(1.5)
        assert not browser.run(STALE)  # the control: frames come
        stopped = time.monotonic()
    browser.until(STALE, seconds=10)
    assert time.monotonic() - stopped > 0.7  # not at once either
    assert "STALE" in browser.run(BANNER) and "old" in browser.run(BANNER)
    assert "grayscale" in browser.run("getComputedStyle(document.querySelector('#picture')).filter")
    with Producer(server, colour_contract):
        browser.until(STALE, lambda stale: not stale)


def status(state: str, reason: str | None) -> Status:
    ages = Percentiles()
    camera = CameraStatus("", "rtsp://cam/1", state, reason, 1.0, (48, 64), Account(), 30.0, 30.0, ages, ages)
    return Status(1.0, ModelStatus("tiny", "tiny.onnx", "ort", "cpu", "int8", False, 0), (camera,), (), {})


@pytest.mark.slow
def test_a_source_that_is_not_live_is_named_with_its_reason(
    browser: Chromium, serving: Serving, colour_contract: Contract
) -> None:
    now: list[str | None] = ["live", None]
    server = serving(status=lambda: status(str(now[0]), now[1]), options=WebOptions(state_seconds=0.2))
    with Producer(server, colour_contract):
        show(browser, server)
        pill = "document.querySelector('#source').textContent.trim()"
        browser.until(pill, lambda text: text == "live")
        now[:] = ["frozen", "the same picture for 5 s"]
        browser.until(STALE)
        assert "frozen: the same picture for 5 s" in browser.run(BANNER)
        assert browser.run(pill) == "frozen"
        now[:] = ["live", None]
        browser.until(STALE, lambda stale: not stale)


class Models:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def names(self) -> list[str]:
        return ["one", "two", "broken"]

    def current(self) -> str:
        return next((name for name in reversed(self.asked) if name != "broken"), "one")

    def switch(self, name: str) -> None:
        self.asked.append(name)
        if name == "broken":
            raise ConfigError("broken has other labels; two serves on")


class Recorder:
    def __init__(self) -> None:
        self.asked: list[bool] = []

    def recording(self) -> bool:
        return bool(self.asked) and self.asked[-1]

    def start(self) -> None:
        self.asked.append(True)

    def stop(self) -> None:
        self.asked.append(False)


class Keeper:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def take(self, camera: str) -> str:
        self.asked.append(camera)
        return "kept-0001.png"


class Areas:
    def __init__(self) -> None:
        self.kept: list[ZoneShape] = []

    def zones(self) -> list[ZoneShape]:
        return self.kept

    def replace(self, zones: Any) -> None:
        self.kept = list(zones)


TOASTS = "document.querySelector('#toasts').textContent"


def test_buttons_reach_the_controls(browser: Chromium, serving: Serving, colour_contract: Contract) -> None:
    models, recorder, keeper = Models(), Recorder(), Keeper()
    server = serving(Controls(models, recorder, keeper), options=WebOptions(state_seconds=0.2))
    WebSink(server).write(shot(colour_contract), None)
    show(browser, server)
    browser.until(
        "!document.querySelector('#record').hidden && document.querySelectorAll('#model option').length === 3"
    )

    browser.click("#record")
    browser.until("document.querySelector('#record').textContent.trim()", lambda text: text == "Stop")
    assert recorder.asked == [True] and not browser.run("document.querySelector('#rec').hidden")
    browser.click("#record")
    browser.until("document.querySelector('#rec').hidden")
    assert recorder.asked == [True, False]

    choose = (
        "(() => {{ const s = document.querySelector('#model');"
        "s.value = '{}'; s.dispatchEvent(new Event('change')); }})()"
    )
    browser.run(choose.format("two"))
    browser.until(TOASTS, lambda text: "Model: two" in text)
    browser.run(choose.format("broken"))
    browser.until(TOASTS, lambda text: "broken has other labels; two serves on" in text)
    browser.until("document.querySelector('#model').value", lambda value: value == "two")
    assert models.asked == ["two", "broken"]
    browser.errors.clear()  # the browser tells of the answer 409, rightly

    browser.click("#save")
    browser.until(TOASTS, lambda text: "kept-0001.png" in text)
    assert keeper.asked == [""]


@pytest.mark.slow
def test_a_snapshot_is_what_is_shown(
    browser: Chromium, serving: Serving, colour_contract: Contract, tmp_path: Path
) -> None:
    server = serving()
    WebSink(server).write(shot(colour_contract, 2, camera="door"), None)
    show(browser, server)
    browser.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    set_opacity(browser, 100)
    browser.click("#snapshot")
    end = time.monotonic() + 20
    while not (found := list(tmp_path.glob("edgeseg-door-*.png"))) and time.monotonic() < end:
        time.sleep(0.05)
    picture = cv2.imread(str(found[0]))
    assert picture is not None and picture.shape == (48, 64, 3)
    assert picture[24, 10].tolist() == [0, 0, 255] and picture[24, 54].tolist() == [255, 0, 0]


@pytest.mark.slow
def test_controls_that_are_not_there_are_not_shown(
    browser: Chromium, serving: Serving, colour_contract: Contract
) -> None:
    server = serving()
    WebSink(server).write(shot(colour_contract), None)
    show(browser, server)
    hidden = "['record', 'save', 'model-panel', 'zone-panel'].map((id) => document.getElementById(id).hidden)"
    assert browser.run(hidden) == [True, True, True, True]


@pytest.mark.slow
def test_zones_are_drawn_and_saved(browser: Chromium, serving: Serving, colour_contract: Contract) -> None:
    areas = Areas()
    server = serving(Controls(zones=areas))
    WebSink(server).write(shot(colour_contract), None)
    show(browser, server)
    browser.until("!document.querySelector('#zone-panel').hidden")
    browser.click("#zone-draw")
    browser.run("scrollTo(0, 0)")
    left, top, width, height = browser.run(
        "(() => { const b = document.querySelector('#zones').getBoundingClientRect();"
        "return [b.x, b.y, b.width, b.height]; })()"
    )
    corners = [(0.25, 0.25), (0.75, 0.25), (0.5, 0.75)]
    for x, y in [*corners, corners[0]]:  # the first one again ends it
        browser.press(left + x * width, top + y * height)
    browser.until("document.querySelectorAll('#zones polygon').length === 1")
    browser.run(
        "(() => { const f = document.querySelector('#zone-list input');"
        "f.value = 'door <mat>'; f.dispatchEvent(new Event('input')); })()"
    )
    assert areas.kept == []
    browser.click("#zone-save")
    browser.until(TOASTS, lambda text: "Zones saved" in text)
    (zone,) = areas.kept
    assert (zone["name"], zone["camera"]) == ("door <mat>", "")
    for point, corner in zip(zone["points"], corners, strict=True):
        assert point == pytest.approx(corner, abs=0.01)
    assert browser.run("document.querySelector('#zones text').textContent") == "door <mat>"


@pytest.mark.slow
def test_what_the_stream_says_never_becomes_markup(
    browser: Chromium, serving: Serving, colour_contract: Contract
) -> None:
    evil = "<img src=x onerror=document.title='hacked'>"
    labels = (Label(evil, (1, 2, 3)), *colour_contract.labels[1:])
    events = Events()
    server = serving(events=events, options=WebOptions(state_seconds=0.2))
    sink = WebSink(server)
    sink.write(shot(replace(colour_contract, labels=labels), camera=evil), None)
    sink.write(shot(colour_contract, camera="other"), None)
    events.publish("source.state", evil, reason=evil)
    show(browser, server)
    for place in ("#legend", "#events", "#cameras"):
        browser.until(f"document.querySelector('{place}').textContent", lambda text: evil in text)
    assert browser.run("document.querySelectorAll('main img').length") == 0
    assert "hacked" not in browser.run("document.title")


@pytest.mark.slow
def test_the_camera_can_be_chosen(browser: Chromium, serving: Serving, colour_contract: Contract) -> None:
    server = serving(options=WebOptions(state_seconds=0.2))
    sink = WebSink(server)
    sink.write(shot(colour_contract, 1, camera="door"), None)
    sink.write(shot(colour_contract, 2, camera="yard"), None)
    show(browser, server)
    browser.until("document.querySelectorAll('#cameras button').length === 2")
    assert pixel(browser, 0.8, 0.5) == blend((0, 255, 0), 0.5)
    browser.click("#cameras button:nth-child(2)")
    browser.until(NEW)
    assert pixel(browser, 0.8, 0.5) == blend((0, 0, 255), 0.5)


@pytest.mark.slow
def test_the_page_comes_back_by_itself(browser: Chromium, serving: Serving, colour_contract: Contract) -> None:
    first = serving()
    WebSink(first).write(shot(colour_contract, 1), None)
    show(browser, first)
    first.close()
    browser.until(BANNER, lambda text: "no connection to the viewer" in text)
    second = WebServer(first.address)
    second.start()
    try:
        with Producer(second, colour_contract):
            browser.until(STALE, lambda stale: not stale)
    finally:
        second.close()
    browser.errors.clear()  # of the connection that was lost


@pytest.mark.slow
def test_the_token_is_used_once_and_kept_out_of_sight(
    browser: Chromium, serving: Serving, colour_contract: Contract
) -> None:
    server = serving(token="a-token-of-some-length")
    WebSink(server).write(shot(colour_contract), None)
    browser.open(server.url)
    browser.until("document.body.textContent", lambda text: "needs its token" in text)
    browser.errors.clear()  # the browser tells of the answer 401, rightly
    show(browser, server)
    assert browser.run("location.href") == server.url
    assert browser.run("document.cookie") == ""
    assert browser.run("Object.values(localStorage).join()").find("a-token") == -1


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844), (844, 390), (320, 568)])
def test_everything_fits_every_screen(
    browser: Chromium, serving: Serving, colour_contract: Contract, width: int, height: int, tmp_path: Path
) -> None:
    server = serving(Controls(Models(), Recorder(), Keeper(), Areas()))
    with Producer(server, colour_contract):
        show(browser, server)
        browser.open(server.url, width, height, phone=width < 1000)
        browser.until(NEW)
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.run("Math.round(document.querySelector('#picture').getBoundingClientRect().right)") <= width
        # the picture and the way to its state are seen without scrolling
        assert browser.run("document.querySelector('#picture').getBoundingClientRect().top") < height / 2
        if width < 500:
            small = (
                "[...document.querySelectorAll('.tools button, .legend button')]"
                ".filter((e) => e.offsetHeight && e.offsetHeight < 40).length"
            )
            assert browser.run(small) == 0  # a finger's width
        browser.screenshot(tmp_path / "page.png")
        assert (tmp_path / "page.png").stat().st_size > 5000


def objects_shot() -> Shot:
    """Two cars side by side on grey, the right one with the id 12, and a person."""
    things = [Thing((0.0, 20.0, 60.0, 100.0)), Thing((60.0, 20.0, 120.0, 100.0)), Thing((130.0, 60.0, 150.0, 110.0), 1)]
    image = np.full((120, 160, 3), 100, np.uint8)
    result = scripted(things, ids=(0, 12, 0))
    return Shot(Frame(0, image, time.monotonic(), None, "000000", ""), result, color_table(OBJECTS), 0.5)


def test_objects_are_told_apart_named_and_counted(browser: Chromium, serving: Serving) -> None:
    line = LineCount(CountLine("door", (0, 0.5), (1, 0.5)), {"person": 3}, {})
    camera = replace(status("live", None).cameras[0], counts=Counts({}, (line,)))
    server = serving(status=lambda: replace(status("live", None), cameras=(camera,)))
    WebSink(server).write(objects_shot(), None)
    show(browser, server)
    car, grey = OBJECTS.labels[0].color, (100, 100, 100)
    assert pixel(browser, 30 / 160, 0.5) == pixel(browser, 90 / 160, 0.5) == blend(car, 0.5)
    assert pixel(browser, 60.5 / 160, 0.5) == blend(grey, 0)  # the gap between the two
    white = (
        "(() => { const c = document.querySelector('#picture'), w = c.width / 160, h = c.height / 120;"
        "const p = c.getContext('2d').getImageData(PLACE).data; let n = 0;"
        "for (let i = 0; i < p.length; i += 4) n += p[i] > 240 && p[i + 1] > 240 && p[i + 2] > 240; return n; })()"
    )
    sign, bare = (white.replace("PLACE", f"{x} * w, 0, 40 * w, 22 * h") for x in (70, 10))
    assert browser.run(sign) > 10 and browser.run(bare) == 0
    told = "[...document.querySelectorAll('#legend .share')].map((e) => e.textContent)"
    assert browser.until(told, lambda shares: shares[0] != "–") == ["2 · 50.0%", "1 · 5.2%"]
    assert browser.until("document.querySelector('#counts').textContent") == "doorin 3 person · out 0"
    browser.click("#legend li:nth-child(1) button")  # a class that is taken out takes its names with it
    assert browser.run(sign) == 0 and pixel(browser, 0.2, 0.5) == blend(grey, 0)
