# amaranth: UnusedElaboratable=no
"""The edge of an array: operands are recoded once, for all PEs that share them."""

from amaranth.hdl import Module, Signal, Value

from hw.chain import Chain, ChainConfig, Link
from pe.element import PeConfig
from pe.share import share
from pe.unit import Unit


def held(m: Module, name: str, value: Value) -> Signal:
    """Return a value one cycle later, through a register without reset."""
    register = Signal(len(value), name=name, reset_less=True)
    m.d.sync += register.eq(value)
    return register


def encode_a(m: Module, platform: object, pe: PeConfig, elements: Value, lanes: int) -> Value:
    """Return the codes of elements of A, a cycle later; elements as they are without an encoder."""
    if pe.encoder is None:
        return elements
    elements = held(m, "operands_a_reg", elements)
    return _codes(m, platform, "encoders", pe.encoder, elements, lanes // pe.code_terms)


def encode_b(m: Module, platform: object, pe: PeConfig, elements: Value, lanes: int) -> Value:
    """Return the codes of elements of B when those of A beside them are there."""
    if pe.encoder is None:
        return elements
    elements = held(m, "operands_b_reg", elements)
    if pe.encoder_b is None:
        return elements
    return _codes(m, platform, "encoders_b", pe.encoder_b, elements, lanes // pe.code_terms)


def _codes(
    m: Module, platform: object, name: str, encoder: Unit, elements: Value, count: int
) -> Signal:
    """Place so many encoders and return what they give."""
    row = row_of_encoders(count, encoder)
    codes = Signal(len(Chain(row).o_code), name=f"{name}_codes")
    share(m, platform, name, Chain, row, i_element=elements, o_code=codes)
    return codes


def row_of_encoders(count: int, encoder: Unit) -> ChainConfig:
    """The encoders of all lanes, or groups of lanes."""
    return ChainConfig(
        name=f"encoders_{count}_{encoder.name}",
        summary="the encoders of all lanes",
        instance="lane",
        unit_class=type(encoder),
        unit_config=encoder.config,
        count=count,
        links=(("i_element", Link.LANE), ("o_code", Link.LANE)),
    )
