# amaranth: UnusedElaboratable=no
"""Control of bit-slice engines whose PEs take digits of B: beats in, steps out."""

from amaranth.hdl import Module, Signal, Value

from hw.engine import GemmEngine
from pe.bit_slice import DigitPeConfig
from pe.share import share
from pe.sparse_encoder import SparseEncoder


def digit_control(
    m: Module,
    platform: object,
    pe: DigitPeConfig,
    engine: GemmEngine,
    *,
    ready: Value,
    blocked: Value,
) -> tuple[Value, dict[str, Value], Value]:
    """Place what takes beats of B and, as their steps are fetched, those of A.

    A beat of B is taken into the encoder. A step is chosen from it in a cycle and fetched in a
    later one, when A is there; with the last one the beat of A is taken.

    Parameters
    ----------
    ready
        Beats may be taken.
    blocked
        Those of the next tile may not be fetched.

    Returns
    -------
    operands, controls, finished
        Ports of the column of cells; a tile's last step is fetched.
    """
    i_a, i_b = engine.i_a, engine.i_b
    loaded = Signal()
    chosen = Signal()
    chosen_last = Signal()
    step = Signal()
    load = Signal()
    may_go = Signal()
    go = Signal()
    last_step = Signal()
    finished = Signal()
    m.d.comb += [
        may_go.eq(chosen & ~(blocked & i_a.payload.first)),
        go.eq(may_go & i_a.valid),
        step.eq(loaded & (~chosen | go)),
        i_a.ready.eq(may_go & chosen_last),
        i_b.ready.eq(load),
        # What is not valid may be loaded: nothing is chosen from it.
        load.eq(ready & (~loaded | (step & last_step))),
        finished.eq(go & chosen_last & i_a.payload.last),
    ]
    with m.If(load):
        m.d.sync += loaded.eq(i_b.valid)
    with m.If(step):
        m.d.sync += [chosen.eq(1), chosen_last.eq(last_step)]
    with m.Elif(go):
        m.d.sync += chosen.eq(0)

    encoder: dict[str, Value] = {
        "i_b": i_b.payload.data.as_value(),
        "i_load": load,
        "i_step": step,
        "i_go": go,
        "o_final": last_step,
    }
    operands = i_a.payload.data.as_value()
    if pe.own_encoder:
        return operands, encoder, finished
    fetch = Signal(pe.fetch_width)
    select = Signal(pe.select_width)
    share(
        m,
        platform,
        "encoder",
        SparseEncoder,
        pe,
        **encoder,
        o_fetch=fetch,
        o_select=select,
    )
    return operands, {"i_fetch": fetch, "i_select": select}, finished
