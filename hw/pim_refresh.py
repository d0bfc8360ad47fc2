"""When the ranks of a PIM channel are due for refresh."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from hw.pim_config import PimConfig
from pe.unit import Unit


class PimRefresh(Unit):
    """Refresh timers: one tick every tREFI for each rank, evenly spaced or all at one time.

    They count from the first cycle in which a request can stand at the head of a queue, the second
    after reset.

    Members
    -------
    done : In(ranks)
        The rank is refreshed in this cycle.
    due : Out(ranks)
        The rank has ticked, in this cycle or before, and has not been refreshed since.
    left : Out
        Cycles to the next tick of any rank, 0 in its cycle.
    """

    config: PimConfig

    def __init__(self, config: PimConfig) -> None:
        self._range = range(config.timing.t_refi + 2)
        super().__init__(
            config,
            {"done": In(config.ranks), "due": Out(config.ranks), "left": Out(self._range)},
        )

    @property
    def name(self) -> str:
        return f"refresh_{self.config.name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, interval = self.config, self.config.timing.t_refi
        counts = []
        for rank in range(config.ranks):
            first = interval if config.refresh_all else interval // config.ranks * (rank + 1)
            count = Signal(self._range, name=f"count_{rank}", init=first + 1)
            pending = Signal(name=f"pending_{rank}")
            m.d.sync += [
                count.eq(Mux(count == 0, interval - 1, count - 1)),
                pending.eq(self.due[rank] & ~self.done[rank]),
            ]
            m.d.comb += self.due[rank].eq(pending | (count == 0))
            counts.append(count)
        least: Value = counts[0]
        for count in counts[1:]:
            least = Mux(count < least, count, least)
        m.d.comb += self.left.eq(least)
        return m
