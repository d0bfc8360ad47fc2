# amaranth: UnusedElaboratable=no
"""The edge of an array: operands of A are recoded once, for all PEs that share them."""

from amaranth.hdl import Module, Signal, Value

from hw.chain import Chain, ChainConfig, Link
from pe.element import PeConfig
from pe.share import share


def held(m: Module, name: str, value: Value) -> Signal:
    """Return a value one cycle later, through a register without reset."""
    register = Signal(len(value), name=name, reset_less=True)
    m.d.sync += register.eq(value)
    return register


def encode(m: Module, platform: object, pe: PeConfig, elements: Value, lanes: int) -> Value:
    """Return the codes of elements of A, a cycle later; elements as they are without an encoder."""
    if pe.encoder is None:
        return elements
    codes = Signal(lanes * pe.code_width)
    share(
        m,
        platform,
        "encoders",
        Chain,
        row_of_encoders(lanes, pe),
        i_element=held(m, "operands_a_reg", elements),
        o_code=codes,
    )
    return codes


def beside_codes(m: Module, pe: PeConfig, elements: Value) -> Value:
    """Return elements of B when the codes of the elements of A beside them are there."""
    return elements if pe.encoder is None else held(m, "operands_b_reg", elements)


def row_of_encoders(lanes: int, pe: PeConfig) -> ChainConfig:
    """The encoders of all lanes."""
    assert pe.encoder is not None
    unit = pe.encoder(pe)
    return ChainConfig(
        name=f"encoders_{lanes}_{unit.name}",
        summary="the encoders of all lanes of A",
        instance="lane",
        unit_class=pe.encoder,
        unit_config=pe,
        count=lanes,
        links=(("i_element", Link.LANE), ("o_code", Link.LANE)),
    )
