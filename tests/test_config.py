"""Configs: declarations, validation, and what the command line and TOML files may say."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import pytest
from helpers import config_of

from hw.catalog import DESIGNS
from hw.engine import EngineConfig
from pe.config import Config, allowed_text, choice, flag, integer, nearest, nested, parameters
from pe.element import PeConfig, accumulator_bits
from pe.mac import MacConfig
from pe.registry import PE_OPTIONS, PES


class Inner(Config):
    size: int = integer("elements", 1, 8, default=4)
    mode: str = choice("what to do", lambda: ("fast", "slow"), default="fast")


class Outer(Config):
    count: int = integer("how many", 0, 10)
    enabled: bool = flag("whether", default=True)
    left: Inner = nested("one", Inner)
    right: Inner = nested("the other", Inner)


class Single(Config):
    inner: Inner = nested("the only one", Inner)


def outer(**values: Any) -> Outer:
    return Outer(**values)


def test_defaults_and_equality() -> None:
    assert outer(count=3) == outer(count=3, enabled=True, left=Inner(), right=Inner(size=4))
    assert len({outer(count=3), outer(count=3), outer(count=4)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        outer(count=3).count = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 11}, "count: 11 is not in 0..10"),
        ({"count": -1}, "count: -1 is not in 0..10"),
        ({"count": True}, "count: True is not an integer in 0..10"),
        ({"count": 3.0}, "count: 3.0 is not an integer in 0..10"),
        ({"count": None}, "count: None is not an integer in 0..10"),
        ({"count": 1, "enabled": 1}, "enabled: 1 is not true or false"),
        ({"count": 1, "left": 3}, "left: 3 is not a Inner"),
    ],
)
def test_values_outside_their_declaration(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        outer(**arguments)


def test_an_unknown_choice_suggests_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"^mode: 'fst' is not one of fast, slow; did .* 'fast'\?"):
        Inner(mode="fst")


def test_settings_reach_nested_configs() -> None:
    dotted = {"count": "0x3", "left.size": "2", "right": {"mode": "slow", "size": 8}}
    expected = outer(count=3, left=Inner(size=2), right=Inner(mode="slow", size=8))
    assert Outer.from_settings(dotted) == expected
    assert Single.from_settings({"size": 7}) == Single(inner=Inner(size=7))


@pytest.mark.parametrize(("text", "value"), [("true", True), ("FALSE", False), ("0", False)])
def test_flags_from_text(text: str, value: bool) -> None:
    assert Outer.from_settings({"count": 1, "enabled": text}).enabled is value


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 3}, "size: is ambiguous: left.size, right.size"),
        ({"cuont": 3}, "cuont: is not a parameter"),
        ({"left": 3}, "left: is not a parameter"),
        ({"count": {"size": 3}}, "count.size: is not a parameter"),
        ({"left.size": "x"}, "left.size: 'x' is not an integer in 1..8"),
        ({"enabled": "2"}, "enabled: '2' is not true or false"),
    ],
)
def test_bad_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        Outer.from_settings({"count": 1, **settings})


def test_parameters_are_listed_with_what_they_may_hold() -> None:
    listed = {
        path: (value, allowed_text(field))
        for path, field, value in parameters(Single.from_settings({}))
    }
    assert listed == {"inner.size": (4, "1..8"), "inner.mode": ("fast", "fast, slow")}
    assert allowed_text(Outer.__dataclass_fields__["enabled"]) == "true or false"


def test_nearest() -> None:
    assert nearest("rows", ["row", "cols"]) == "; did you mean 'row'?"
    assert nearest("zebra", ["row", "cols"]) == ""


APPLIES_WITH: dict[str, dict[str, Any]] = {
    "ulps": {"offset": "ulps"},
    "limbs": {"modulus": 12289},
}
"""Settings without which a parameter is refused."""
NEEDED = {
    "ternary_look_up": {"lanes": 4, "rows": 4, "cols": 4},
    **{pe: {"width_acc": 62} for pe in ("w4a16", "fp8", "mitchell", "l_mul")},
}
"""Settings without which a PE is refused; they are as they are."""


@pytest.mark.parametrize("name", DESIGNS)
def test_another_config_has_another_name(name: str) -> None:
    configs = set()
    plain = DESIGNS[name].config()
    pes: Mapping[str, type[PeConfig]] = getattr(plain, "pes", {"mac": MacConfig})
    for pe in pes:
        needed = NEEDED.get(pe, {})
        configs.add(config_of(DESIGNS[name], pe=pe, **needed))
        for path, field, default in parameters(plain):
            key = path.rpartition(".")[2]
            absent = key in PE_OPTIONS and key not in pes[pe].__dataclass_fields__
            if absent or key in needed:
                continue
            if field.metadata["type"] is int and key != "k_max":  # it bounds use, not hardware
                least = 60 if key == "width_acc" else field.metadata["minimum"]
                second = field.metadata.get("values", (least, least + 1))[1]
                value = second if least == default else least
                chosen = {"pe": pe, key: value, **needed, **APPLIES_WITH.get(key, {})}
                configs.add(config_of(DESIGNS[name], **chosen))
    names = {config.name for config in configs}
    assert len(names) == len(configs)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", text) for text in names)


@pytest.mark.parametrize("signs", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("k", [1, 2, 3, 255, 256, 257])
def test_accumulator_bits_are_the_least_that_hold_every_sum(
    k: int, signs: tuple[bool, bool]
) -> None:
    ends = [(-(2**3), 2**3 - 1) if signed else (0, 2**4 - 1) for signed in signs]
    sums = [k * x * y for x in ends[0] for y in ends[1]]
    width = accumulator_bits(k, 4, 4, *signs)

    def fits(bits: int) -> bool:
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if any(signs) else (0, 2**bits)
        return all(low <= value < high for value in sums)

    assert fits(width)
    assert not fits(width - 1)


def test_derived_accumulator_width() -> None:
    assert EngineConfig().width_acc == 8 + 8 + 16
    assert EngineConfig(width_a=4, width_b=5, k_max=100).width_acc == 4 + 5 + 7 - 1
    assert EngineConfig(width_a=4, width_b=5, k_max=1).width_acc == 4 + 5 - 1 + 1
    assert EngineConfig(pe="ternary", k_max=100).width_acc == 8 + 7
    assert EngineConfig(pe="fp4", k_max=32).width_acc == 14
    assert EngineConfig(pe="fp8", k_max=128).width_acc == 37 + 7
    assert EngineConfig(pe="l_mul", k_max=128).width_acc == 34 + 7
    # 13 << 29 with the offset of L-Mul, 12 << 29 without.
    assert EngineConfig(pe="l_mul", k_max=5).width_acc == 37
    assert EngineConfig(pe="mitchell", k_max=5).width_acc == 36
    assert EngineConfig(pe="switchable", k_max=128).width_acc == 2 * (12 + 7)


def test_a_pe_chooses_widths_that_are_not_given() -> None:
    widths = {name: (c := EngineConfig(pe=name)).width_b * 100 + c.width_a for name in PES}
    assert widths["mac"] == widths["opt1"] == 808
    assert (widths["mix"], widths["ternary"], widths["shift"], widths["fp4"]) == (
        408,
        208,
        508,
        404,
    )
    for settings, message in (
        ({"pe": "ternary", "width_b": 8}, "width_b: 8 is not 2, as pe=ternary allows"),
        ({"pe": "shift", "width_b": 8}, "width_b: 8 is not in 2..5, as pe=shift allows"),
        ({"pe": "mac", "width_b": 1}, "width_b: 1 is not in 2..16, as pe=mac allows"),
        ({"pe": "fp4", "signed_a": False}, "signed_a: False is not true, all that pe=fp4 allows"),
        ({"pe": "switchable", "width_acc": 51}, "width_acc: 51 is not in 56..63"),
        ({"pe": "switchable", "width_acc": 57}, "width_acc: 57 is not even, as pe=switchable"),
        ({"pe": "mix", "encoder_at": "edge"}, "encoder_at: 'edge' is not 'pe', all that pe=mix"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            EngineConfig(**settings)


def test_an_accumulator_that_could_overflow() -> None:
    message = "k_max: 1000000000 products of pe=fp8 need accumulators of 67 bits, and at most 63"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        EngineConfig(pe="fp8", k_max=1_000_000_000)
    least = accumulator_bits(1000, 8, 8, True, True)
    assert EngineConfig(k_max=1000, width_acc=least).width_acc == least
    message = f"width_acc: {least - 1} is not in {least}..63"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}.*k_max=1000"):
        EngineConfig(k_max=1000, width_acc=least - 1)
    with pytest.raises(ValueError, match=r"^width_acc: 15 bits cannot hold one step's sum"):
        MacConfig(width_acc=15)
