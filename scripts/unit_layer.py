# amaranth: UnusedElaboratable=no
"""Layers of ``rtloom layer`` on one stand-alone PE, element of C after element of C."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from golden.formats import FORMATS, decode, encode, greatest_code
from golden.gemm import wrap
from golden.schemes import SMALLEST_SCALE, checked, paired, quantized
from golden.terms import TERM_FORMATS, tokens
from hw.catalog import DESIGNS, Design
from pe.config import Config
from pe.element import extremes, sum_bits
from pe.formats import FLOATS
from pe.serial import SerialConfig
from pe.switchable import SwitchableConfig
from pe.term_serial import TermSerialConfig
from pe.w4a16 import FloatW4A16Config
from sim.job import Arrays
from sim.results import SimulationError
from sim.simulate import run_operands, words_of

NARROW, WIDE = "", "wide"
ACTIVATION_BITS = 8
NARROW_BITS, WIDE_BITS = 4, 8

MOST_SETS = 1 << 23
"""Sets of operands that a simulation has room for."""

LARGEST_SUM = 2.0**15
"""Up to which the magnitudes of a float sum's products may add up: half of what FP16 holds.

The other half is for roundings.
"""

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class UnitLayer(NamedTuple):
    """A layer as a unit takes it.

    Attributes
    ----------
    activations : int64 array, shape [m, k]
        Integers, or codes of FP16.
    weights : int64 array, shape [k, n]
        Integers, or codes of a format.
    numbers : int64 array, shape [k, n]
        Integers that the weights stand for.
    weight_scales : float64 array, shape [1, n]
        What they count.
    factors : float64 array, shape [m, n]
        By which a result of the unit is multiplied.
    width
        Bits of a weight.
    sets
        Of operands, that the product takes.
    """

    activations: Integers
    weights: Integers
    numbers: Integers
    weight_scales: Reals
    factors: Reals
    width: int
    sets: int

    @property
    def real_weights(self) -> Reals:
        """What the weights stand for, [k, n]."""
        return self.numbers * self.weight_scales


class Played(NamedTuple):
    """Operands of a product.

    Attributes
    ----------
    operands
        By port, [sets].
    ends
        Set that is the last one of each sum, [m, sums of a row].
    """

    operands: Arrays
    ends: Integers


class Taker(NamedTuple):
    """How a unit takes a layer.

    Attributes
    ----------
    forms
        What may stand after a colon; the first one where nothing does.
    config
        From the form, and the greatest K.
    quantise
        From the form, and real activations [m, k] and weights [k, n].
    play
        From the form and the layer.
    read
        From the form, the bits of the outputs [sums, bits] at the ends of sums, and M: results
        [m, n], or one column more.
    exact
        Sums are those of integers.
    """

    forms: tuple[str, ...]
    config: Callable[[str, int], Config]
    quantise: Callable[[str, Reals, Reals], UnitLayer]
    play: Callable[[str, UnitLayer], Played]
    read: Callable[[str, Arrays, int], npt.NDArray[np.int64 | np.float64]]
    exact: bool = True


class UnitForm(NamedTuple):
    """A unit, and the form of it that was asked for."""

    name: str
    form: str

    @property
    def label(self) -> str:
        """For tables."""
        return f"{self.name} {self.form}".rstrip()

    @property
    def design(self) -> Design:
        """Of the catalogue."""
        return DESIGNS[self.name]

    @property
    def taker(self) -> Taker:
        """How it takes a layer."""
        return UNITS[self.name]

    def config(self, k: int) -> Config:
        """Config whose sums hold up to `k` products.

        Raises
        ------
        ValueError
            When the unit has none.
        """
        try:
            return self.taker.config(self.form, k)
        except ValueError as error:
            raise ValueError(f"unit: {self.label} does not take K = {k}; {error}") from error


def unit_of(text: str) -> UnitForm:
    """Read a unit's name, and what stands after a colon.

    Raises
    ------
    ValueError
        When there is no such unit, or it has no such form.
    """
    name, colon, form = text.partition(":")
    if name not in UNITS:
        raise ValueError(f"unit: {name!r} is not one of {', '.join(UNITS)}")
    forms = UNITS[name].forms
    if not colon:
        return UnitForm(name, forms[0])
    named = [form for form in forms if form]
    if not named:
        raise ValueError(f"unit: {text!r} is not {name}, which takes nothing after a colon")
    if form not in named:
        raise ValueError(f"unit: {form!r} after {name}: is not one of {', '.join(named)}")
    return UnitForm(name, form)


def unit_layer(unit: UnitForm, activations: Reals, weights: Reals) -> UnitLayer:
    """Quantise activations [m, k], by row, and weights [k, n], by column, as a unit takes them.

    Raises
    ------
    ValueError
        When a matrix is empty, or holds NaN or infinity, or the product is too large to simulate.
    """
    layer = unit.taker.quantise(unit.form, activations, weights)
    if layer.sets > MOST_SETS:
        raise ValueError(
            f"unit: {unit.name} takes {layer.sets} sets of operands for this product, which is "
            f"not in 1..{MOST_SETS}"
        )
    return layer


def run_unit(
    unit: UnitForm, config: Config, layer: UnitLayer, room: int, workdir: Path, seed: int
) -> tuple[Reals, int]:
    """Run a layer on one unit, and return the product and the cycles.

    Parameters
    ----------
    room
        Sets of operands that the simulator holds; with the same room layers share one.

    Raises
    ------
    ValueError
        When a float sum is beyond the largest number.
    SimulationError
        When a sum differs from the golden model in any cycle, or from the dense product where it is
        one of integers.
    """
    taker = unit.taker
    m, n = layer.factors.shape
    operands, ends = taker.play(unit.form, layer)
    outcome = run_operands(unit.design, config, workdir, seed, room, operands=operands)
    at_ends = {name: bits[ends.ravel()] for name, bits in outcome.arrays.items()}
    results = taker.read(unit.form, at_ends, m)[:, :n]
    if taker.exact and not np.array_equal(results, layer.activations @ layer.numbers):
        what = f"simulation of {config.name}"
        raise SimulationError(what, "sums are not those of the dense product", outcome.run.log)
    if not np.isfinite(results).all():
        raise ValueError(f"unit: a sum of {unit.name} is beyond the largest FP16 number, 65504")
    component = unit.design.component(config)
    cycles = (layer.sets - 1) * component.initiation_interval + 1 + component.latency
    return results * layer.factors, cycles


def _integers(width: int, columns: int, activations: Reals, weights: Reals) -> UnitLayer:
    """Quantise to integers; a set holds the weights of some columns."""
    a = quantized(activations, "integer", ACTIVATION_BITS, axis=1)
    b = quantized(weights, "integer", width, axis=0)
    m, (k, n) = len(a.codes), b.codes.shape
    sets = m * k * -(-n // columns)
    return UnitLayer(a.codes, b.codes, b.codes, b.scales, a.scales * b.scales, width, sets)


def _in_terms(format: str, activations: Reals, weights: Reals) -> UnitLayer:
    """Quantise weights so that the largest magnitude of a column is that of the format."""
    a = quantized(activations, "integer", ACTIVATION_BITS, axis=1)
    real = checked(weights)
    # Code 1 is the least number above zero, which integers count.
    largest, least = decode(np.array([greatest_code(format), 1]), format)
    scales = np.maximum(np.abs(real).max(axis=0, keepdims=True), SMALLEST_SCALE) / largest
    codes = encode(real / scales, format)
    numbers = (decode(codes, format) / least).astype(np.int64)
    sets = len(a.codes) * len(tokens(codes.ravel(), codes.ravel(), format)["a"])
    scales = scales * least
    factors = a.scales * scales
    return UnitLayer(a.codes, codes, numbers, scales, factors, FORMATS[format].width, sets)


def _in_halves(activations: Reals, weights: Reals) -> UnitLayer:
    """Round activations to FP16, rows halved until no sum can be beyond the largest number."""
    half = FLOATS["fp16"]
    b = quantized(weights, "integer", NARROW_BITS, axis=0)
    most = (np.abs(checked(activations)) @ np.abs(b.codes)).max(axis=1, keepdims=True)
    powers = 2.0 ** np.maximum(np.ceil(np.log2(np.maximum(most, 1) / LARGEST_SUM)), 0)
    a = quantized(activations / powers, "fp16", half.width, axis=1)
    # The scale of FP16 codes counts the least number above zero.
    scales = a.scales * 2.0 ** (half.bias + half.mantissa - 1) * powers
    codes = a.codes % (1 << half.width)
    sets = codes.size * b.codes.shape[1]
    return UnitLayer(codes, b.codes, b.codes, b.scales, scales * b.scales, NARROW_BITS, sets)


def _play(activations: Integers, weights: Integers) -> Played:
    """Play a pair of elements a set, those of an element of C in increasing k."""
    (m, k), n = activations.shape, weights.shape[1]
    shape = (m, n, k)
    operands = {
        "a": np.broadcast_to(activations[:, None], shape).ravel(),
        "b": np.broadcast_to(weights.T, shape).ravel(),
        "clear": np.tile(np.arange(k) == 0, m * n).astype(np.int64),
        "i_valid": np.ones(m * n * k, np.int64),
    }
    return Played(operands, (np.arange(1, m * n + 1) * k - 1).reshape(m, n))


def _play_integers(_form: str, layer: UnitLayer) -> Played:
    return _play(layer.activations, layer.weights)


def _play_halves(_form: str, layer: UnitLayer) -> Played:
    operands, ends = _play(layer.activations, layer.weights)
    last = np.zeros_like(operands["clear"])
    last[ends] = 1
    return Played(operands | {"last": last}, ends)


def _play_switchable(form: str, layer: UnitLayer) -> Played:
    """Play a wide weight, or those of two columns, side by side."""
    weights = layer.weights & ((1 << WIDE_BITS) - 1)
    if form == NARROW:
        weights = paired(layer.weights)
    operands, ends = _play(layer.activations, weights)
    wide = np.full_like(operands["clear"], form == WIDE)
    return Played(operands | {"wide": wide}, ends)


def _play_terms(format: str, layer: UnitLayer) -> Played:
    (m, k), n = layer.activations.shape, layer.weights.shape[1]
    # For an activation the index of its weight: terms are the same for all rows.
    found = tokens(np.arange(n * k), layer.weights.T.ravel(), format)
    place = found.pop("a") % k
    last = found["last"] != 0
    first = np.concatenate([[True], last[:-1]])
    found["clear"] = (first & (place == 0)).astype(np.int64)
    found["i_valid"] = np.ones_like(place)
    operands = {name: np.tile(column, m) for name, column in found.items()}
    operands["a"] = layer.activations[:, place].ravel()
    ends = np.flatnonzero(last & (place == k - 1))
    return Played(operands, np.arange(m)[:, None] * len(place) + ends)


def _read_integers(_form: str, outputs: Arrays, m: int) -> Integers:
    return _signed(outputs["sum"]).reshape(m, -1)


def _read_halves(_form: str, outputs: Arrays, m: int) -> Reals:
    return decode(words_of(outputs["sum"]), "fp16").reshape(m, -1)


def _read_switchable(form: str, outputs: Arrays, m: int) -> Integers:
    low, high = _signed(outputs["low"]), _signed(outputs["high"])
    if form == WIDE:
        return (low + (high << NARROW_BITS)).reshape(m, -1)
    return np.stack([low, high], axis=1).reshape(m, -1)


def _signed(bits: npt.NDArray[np.uint8]) -> Integers:
    return wrap(words_of(bits), bits.shape[1], True)


def _serial_config(_form: str, k: int) -> Config:
    ends = extremes(ACTIVATION_BITS, True), extremes(NARROW_BITS, True)
    return SerialConfig(width_a=ACTIVATION_BITS, width_b=NARROW_BITS, width_acc=sum_bits(k, *ends))


def _switchable_layer(form: str, activations: Reals, weights: Reals) -> UnitLayer:
    width, columns = (WIDE_BITS, 1) if form == WIDE else (NARROW_BITS, 2)
    return _integers(width, columns, activations, weights)


TAKERS: dict[type[Config], Taker] = {
    SerialConfig: Taker(
        forms=("",),
        config=_serial_config,
        quantise=lambda _form, a, b: _integers(NARROW_BITS, 1, a, b),
        play=_play_integers,
        read=_read_integers,
    ),
    TermSerialConfig: Taker(
        forms=("e4m3", *(form for form in TERM_FORMATS if form != "e4m3")),
        config=lambda form, k: TermSerialConfig(width_a=ACTIVATION_BITS, format=form, k_max=k),
        quantise=_in_terms,
        play=_play_terms,
        read=_read_integers,
    ),
    FloatW4A16Config: Taker(
        forms=("",),
        config=lambda _form, _k: FloatW4A16Config(format="fp16"),
        quantise=lambda _form, a, b: _in_halves(a, b),
        play=_play_halves,
        read=_read_halves,
        exact=False,
    ),
    SwitchableConfig: Taker(
        forms=(NARROW, WIDE),
        config=lambda _form, k: SwitchableConfig(k_max=k),
        quantise=_switchable_layer,
        play=_play_switchable,
        read=_read_switchable,
    ),
}
"""How units take a layer, by the class of their config."""

UNITS = {name: TAKERS[design.config] for name, design in DESIGNS.items() if design.config in TAKERS}
"""The same by the names of the catalogue."""
