"""Objects as a page gets them."""

from __future__ import annotations

import json
import time
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sources.base import Frame
from edgeseg_runtime.web.encode import Encoder
from edgeseg_runtime.web.layers import class_layer, numbers_of_objects, signs
from edgeseg_runtime.web.options import WebOptions
from edgeseg_runtime.web.packets import Kind, Packet, Take, facts, pack
from tests.runtime.instances.scripted import CAR, CONTRACT, PERSON, Thing, at, scripted
from tests.runtime.web.clients import shot

THINGS = [Thing((20.0, 20.0, 50.0, 60.0)), Thing((50.0, 20.0, 80.0, 60.0)), Thing((80.0, 20.0, 99.0, 60.0), PERSON)]


def packet(result: InstanceResult, kind: Kind = Kind.VIEW, **options: Any) -> Packet:
    image = np.full((result.height, result.width, 3), 90, np.uint8)
    frame = Frame(3, image, time.monotonic(), None, "000003", "door")
    one = Shot(frame, result, color_table(CONTRACT), 0.5)
    return Encoder(WebOptions(**options))(Take(1, one), kind)


def layer(of: Packet) -> npt.NDArray[np.uint8]:
    return np.frombuffer(zlib.decompress(of.mask), np.uint8).reshape(of.mask_size)


def test_the_layer_has_each_objects_class_and_a_gap_where_two_of_one_class_meet() -> None:
    drawn = layer(packet(scripted(THINGS)))
    expected = scripted(THINGS).mask.copy()
    expected[20:60, 50] = 255
    np.testing.assert_array_equal(drawn, expected)
    assert drawn[40, 79] == CAR and drawn[40, 80] == PERSON  # what differs in its class needs no gap


def test_a_gap_is_seen_in_a_reduced_layer_too() -> None:
    drawn = layer(packet(scripted(THINGS), mask_side=40))
    assert drawn.shape == (30, 40)
    across = drawn[10, 5:24].tolist()
    assert across.count(255) == 1 and across[8] == 255 and set(across[:8]) == {CAR}


def test_classes_are_not_touched() -> None:
    mask = np.random.default_rng(0).integers(0, 2, (30, 40), np.uint8)
    result = shot(replace(CONTRACT, task="semantic", output="scores", selection=None)).result
    np.testing.assert_array_equal(class_layer(replace(result, mask=mask), 100), mask)  # type: ignore[type-var]
    assert signs(result) == () and numbers_of_objects(result) is None


def test_a_page_is_told_of_numbers_and_ids() -> None:
    result = scripted([*THINGS, at(120, 100, label=PERSON)], ids=(7, 0, 12, 3))
    told = facts(packet(result), time.monotonic())
    assert told["numbers"] == (2, 2)
    assert told["signs"] == ((7, CAR, 35, 20), (12, PERSON, 90, 20), (3, PERSON, 120, 80))
    plain = facts(packet(scripted(THINGS)), time.monotonic())
    assert plain["numbers"] == (2, 1) and plain["signs"] == ()
    assert facts(packet(scripted([])), time.monotonic())["numbers"] == (0, 0)


def test_a_hundred_objects_make_no_large_message() -> None:
    rng = np.random.default_rng(1)
    things = [at(float(x), float(y), 30, 60) for x, y in rng.uniform((20, 60), (1260, 720), (100, 2))]
    result = scripted(things, 720, 1280, ids=tuple(range(100_000, 100_100)))
    one = packet(result)
    message = pack(facts(one, time.monotonic()), one)
    assert len(message) - len(one.jpeg) < 12_000
    assert len(json.dumps(one.signs)) < 4000


def test_other_software_gets_none_of_it() -> None:
    still = packet(scripted(THINGS, ids=(1, 2, 3)), Kind.STILL)
    assert still.signs == () and still.numbers is None and still.mask == b""


def test_without_a_mask_there_is_nothing_to_count(colour_contract: Contract) -> None:
    one = shot(colour_contract, masked=False)
    told = facts(Encoder(WebOptions())(Take(1, one), Kind.VIEW), time.monotonic())
    assert told["numbers"] is None and told["signs"] == () and told["area"] == []
