from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.optimize.budget import Budget, parse_latency
from edgeseg.optimize.space import PRECISIONS, Space, Trial, Variant, Weights
from edgeseg_runtime.errors import ConfigError

ABLE = {"openvino": ("float32", "bf16", "int8"), "onnxruntime": ("float32", "int8")}
VARIANTS = Space().variants(ABLE)
variants = st.sampled_from(VARIANTS)


def test_the_grid_is_every_combination_an_engine_computes() -> None:
    expected = {
        Variant(resolution, prune, precision, engine)  # type: ignore[arg-type]
        for resolution, prune, precision, engine in product(
            (1.0, 0.75, 0.5), (0.0, 0.3, 0.5), ("float32", "bf16", "int8", "mixed", "qat"), ABLE
        )
        if not (precision == "bf16" and engine == "onnxruntime")
    }
    assert set(VARIANTS) == expected and len(VARIANTS) == len(expected) == 81


def test_where_mixed_is_tried_int8_is_too() -> None:
    found = Space((1.0,), (0.0,), ("mixed",), ("openvino",)).variants(ABLE)
    assert [variant.kind for variant in found] == [("int8", "openvino"), ("mixed", "openvino")]


def test_values_given_twice_count_once() -> None:
    once = Space(resolutions=(1.0,), prunes=(0.0,), engines=("openvino",))
    twice = Space(resolutions=(1.0, 1.0), prunes=(0.0, 0.0), engines=("openvino", "openvino"))
    assert once.variants(ABLE) == twice.variants(ABLE)


def test_a_processor_without_bf16_has_no_bf16() -> None:
    found = Space().variants({"openvino": ("float32", "int8"), "onnxruntime": ("float32",)})
    assert {variant.kind for variant in found} == {
        ("float32", "openvino"),
        ("int8", "openvino"),
        ("mixed", "openvino"),
        ("qat", "openvino"),
        ("float32", "onnxruntime"),
    }


@given(variants, variants, variants)
def test_both_orders_are_orders(one: Variant, two: Variant, three: Variant) -> None:
    for below in (Variant.no_larger_than, Variant.no_better_than):
        assert below(one, one)
        assert not (below(one, two) and below(two, three)) or below(one, three)
        assert one == two or not (below(one, two) and below(two, one)) or one.precision == two.precision == "float32"


@pytest.mark.parametrize(
    ("variant", "other", "slower", "better"),
    [
        (Variant(0.5, 0.0, "int8", "openvino"), Variant(1.0, 0.0, "int8", "openvino"), True, True),
        (Variant(0.5, 0.0, "int8", "openvino"), Variant(1.0, 0.3, "int8", "openvino"), False, False),
        (Variant(0.5, 0.3, "int8", "openvino"), Variant(1.0, 0.0, "bf16", "openvino"), False, True),
        (Variant(1.0, 0.0, "int8", "onnxruntime"), Variant(1.0, 0.0, "int8", "openvino"), False, False),
        (Variant(1.0, 0.0, "int8", "onnxruntime"), Variant(1.0, 0.0, "float32", "openvino"), False, True),
        (Variant(1.0, 0.0, "qat", "openvino"), Variant(1.0, 0.0, "int8", "openvino"), False, False),
        (Variant(1.0, 0.3, "qat", "openvino"), Variant(1.0, 0.0, "float32", "onnxruntime"), False, True),
        (Variant(1.0, 0.0, "float32", "openvino"), Variant(1.0, 0.0, "bf16", "openvino"), False, False),
        (Variant(0.5, 0.0, "int8", "openvino"), Variant(1.0, 0.0, "mixed", "openvino"), True, False),
        (Variant(1.0, 0.0, "int8", "openvino"), Variant(1.0, 0.0, "mixed", "openvino", 3), True, False),
        (Variant(1.0, 0.0, "int8", "onnxruntime"), Variant(1.0, 0.0, "mixed", "openvino"), False, False),
        (Variant(0.5, 0.0, "mixed", "openvino"), Variant(1.0, 0.0, "bf16", "openvino"), False, True),
        (Variant(1.0, 0.0, "mixed", "openvino", 3), Variant(1.0, 0.0, "float32", "onnxruntime"), False, True),
        (Variant(0.5, 0.0, "mixed", "openvino"), Variant(1.0, 0.0, "mixed", "openvino"), False, False),
        (Variant(1.0, 0.0, "mixed", "openvino", 3), Variant(1.0, 0.0, "mixed", "openvino", 4), False, False),
        (Variant(1.0, 0.0, "qat", "openvino"), Variant(1.0, 0.0, "mixed", "openvino"), False, False),
    ],
)
def test_what_is_larger_and_what_is_better(variant: Variant, other: Variant, slower: bool, better: bool) -> None:
    assert variant.no_larger_than(other) is slower
    assert variant.no_better_than(other) is better


def test_training_is_paid_for_from_none_to_most() -> None:
    weights = sorted({variant.weights for variant in VARIANTS})
    assert [str(each) for each in weights] == [
        "as trained",
        "QAT",
        "pruned 30 %",
        "pruned 30 % · QAT",
        "pruned 50 %",
        "pruned 50 % · QAT",
    ]
    assert weights[0].lineage == ()
    assert weights[1].lineage == (Weights(0.0, True),)
    assert weights[2].lineage == (Weights(0.3),)
    assert weights[3].lineage == (Weights(0.3), Weights(0.3, True))


def test_names_tell_variants_apart() -> None:
    files = [
        *VARIANTS,
        *(replace(v, float_layers=count) for v in VARIANTS if v.precision == "mixed" for count in (1, 11)),
    ]
    assert len({variant.name for variant in files}) == len({str(variant) for variant in files}) == len(files)
    assert str(Variant(1.0, 0.0, "mixed", "openvino", 1)) == "1× · mixed (1 layer in float) · openvino"
    assert str(Trial(VARIANTS[0], 1)).endswith("1 thread") and str(Trial(VARIANTS[0], 2)).endswith("2 threads")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"resolutions": (1.5,)}, "--resolutions must be above 0 and at most 1, got 1.5"),
        ({"resolutions": (0.0,)}, "--resolutions must be above 0"),
        ({"prunes": (1.0,)}, "--prune must be at least 0 and below 1, got 1"),
        ({"threads": (0,)}, "--threads must be 1 or more, got 0"),
        ({"prunes": ()}, "--prune needs at least one value"),
        ({"precisions": ("int4",)}, "--precisions must be of float32, bf16, int8, mixed, qat, got int4"),
    ],
)
def test_what_cannot_be_tried_is_refused(values: dict[str, tuple[float, ...]], words: str) -> None:
    with pytest.raises(ConfigError, match="^" + words.replace(".", r"\.")):
        Space(**values)  # type: ignore[arg-type]


def test_a_grid_that_no_engine_computes_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"--precisions bf16: no engine here computes in it \(onnxruntime: float32, int8\)"
    ):
        Space(precisions=("bf16",), engines=("onnxruntime",)).variants(ABLE)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("12ms", 12.0),
        ("0.012s", 12.0),
        (" 1.5 ms ", 1.5),
        ("800us", 0.8),
        ("800µs", 0.8),
        (".5s", 500.0),
        ("1e-2s", 10.0),
    ],
)
def test_a_latency_is_read(text: str, milliseconds: float) -> None:
    assert parse_latency(text) == pytest.approx(milliseconds)


@given(st.floats(1e-3, 1e6))
def test_every_number_of_milliseconds_is_read_back(value: float) -> None:
    assert parse_latency(f"{value!r}ms") == value


@pytest.mark.parametrize(
    "text", ["12", "", "ms", "-3ms", "0ms", "12 minutes", "nanms", "infs", "1e999s", "1,5ms", "12msx"]
)
def test_what_is_no_latency_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--latency must be a time above 0 with its unit, such as 12ms"):
        parse_latency(text)


@pytest.mark.parametrize("flag", ["max_drop", "min_gain"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_a_drop_that_bounds_nothing_is_refused(flag: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"--{flag.replace('_', '-')} must be 0 or more points"):
        Budget(1.0, **{flag: value})


def test_what_a_training_must_gain() -> None:
    assert Budget(1.0).gain == pytest.approx(0.005)
    assert Budget(1.0, max_drop=2.0).gain == pytest.approx(0.02)
    assert Budget(1.0, max_drop=2.0, min_gain=0.0).gain == pytest.approx(0.0, abs=1e-8)
    assert Budget(1.0, max_drop=2.0).floor(0.7) == pytest.approx(0.68)
    assert Budget(1.0).floor(0.7) == float("-inf")


def test_precisions_are_listed_from_the_most_exact() -> None:
    for place, precision in enumerate(PRECISIONS):
        for other in PRECISIONS[:place]:
            one, two = (Variant(1.0, 0.0, each, "openvino") for each in (other, precision))
            assert not one.no_better_than(two)
