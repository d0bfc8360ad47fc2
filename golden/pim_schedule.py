"""Scheduling of a batch over the channels of a PIM memory, and its plan beside an NPU.

Source: NeuPIMs, ASPLOS 2024, section 6: the estimate of a request's attention, its assignment to a
channel, and the split of a batch into two that NPU and PIM work on in turn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from golden.pim_commands import Command
from golden.pim_model import simulate
from golden.pim_timing import Organisation, Policy, Timing
from golden.pim_trace import Op, Request


def ceil_div(a: int, b: int) -> int:
    """Quotient, rounded up."""
    return -(-a // b)


@dataclass(frozen=True)
class Estimate:
    """Cycles of one request's attention on its channel, from its tokens alone.

    Attributes
    ----------
    heads, head_size
        Heads on the device, and the size of one.
    elements, banks
        Elements of a row, banks of a channel.
    gwrite, k_tile, v_tile
        Cycles of a GWRITE and of a tile of K and of V.
    embedding
        Length of all queries together; 0 for heads x head_size.
    """

    heads: int = 8
    head_size: int = 128
    elements: int = 512
    banks: int = 32
    gwrite: int = 100
    k_tile: int = 184
    v_tile: int = 184
    embedding: int = 0

    def k_part(self, tokens: int) -> int:
        chunks = ceil_div(self.embedding or self.heads * self.head_size, self.elements)
        return chunks * (self.gwrite + ceil_div(tokens, self.banks) * self.k_tile)

    def v_part(self, tokens: int) -> int:
        chunks = self.heads * ceil_div(tokens, self.elements)
        return chunks * (self.gwrite + ceil_div(self.head_size, self.banks) * self.v_tile)

    def __call__(self, tokens: int) -> int:
        return self.k_part(tokens) + self.v_part(tokens)


def assign(
    new: Sequence[int], resident: Sequence[Sequence[int]], estimate: Callable[[int], int]
) -> list[list[int]]:
    """Give each new request to the channel of least load, the longest first.

    Parameters
    ----------
    new
        Tokens of the new requests.
    resident
        Tokens of those that each channel has.

    Returns
    -------
    Tokens of the requests of each channel; of equal channels the first is taken.
    """
    channels = [list(tokens) for tokens in resident]
    loads = [sum(map(estimate, tokens)) for tokens in channels]
    for tokens in sorted(new, reverse=True):
        least = loads.index(min(loads))
        channels[least].append(tokens)
        loads[least] += estimate(tokens)
    return channels


def round_robin(new: Sequence[int], channels: int) -> list[list[int]]:
    """Give the requests to the channels in turn: the baseline of `assign`."""
    return [list(new[channel::channels]) for channel in range(channels)]


def split(channels: Sequence[Sequence[int]]) -> tuple[list[list[int]], list[list[int]]]:
    """Halve each channel's requests; of odd ones the first sub-batch gets more in every other."""
    first, second, more = [], [], True
    for requests in channels:
        size = len(requests)
        half = size // 2
        if size % 2:
            half += more
            more = not more
        first.append(list(requests[:half]))
        second.append(list(requests[half:]))
    return first, second


@dataclass(frozen=True)
class Work:
    """What a stage asks of the NPU: cycles of its arrays, and of the memory for its weights."""

    arrays: float = 0.0
    memory: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(self.arrays + other.arrays, self.memory + other.memory)

    @property
    def alone(self) -> float:
        return max(self.arrays, self.memory)


@dataclass(frozen=True)
class Overlap:
    """Parts of their own rates that memory and PIM keep while both work."""

    memory: float = 1.0
    pim: float = 1.0

    def stage(self, npu: Work, mha: float) -> float:
        """Cycles until both sides of a stage end.

        Memory is slow only for as long as PIM works beside it.
        """
        pim = mha / self.pim
        memory = min(npu.memory / self.memory, npu.memory + (1 - self.memory) * pim)
        return max(npu.arrays, memory, pim)


@dataclass(frozen=True)
class Costs:
    """Stages of a block for one sub-batch: QKV, attention, and projection with feed-forward."""

    qkv: Work
    mha: float
    rest: Work


def serial(whole: Costs, blocks: int) -> float:
    """Cycles of `blocks` blocks, one stage after the other."""
    return blocks * (whole.qkv.alone + whole.mha + whole.rest.alone)


def interleaved(one: Costs, two: Costs, blocks: int, overlap: Overlap | None = None) -> float:
    """Cycles of `blocks` blocks of two sub-batches, one on the NPU while the other is on PIM."""
    stage = (overlap or Overlap()).stage
    start = one.qkv.alone + stage(two.qkv, one.mha)
    repeated = stage(one.rest + one.qkv, two.mha) + stage(two.rest + two.qkv, one.mha)
    end = stage(one.rest, two.mha) + two.rest.alone
    return start + (blocks - 1) * repeated + end


@dataclass(frozen=True)
class Model:
    """A decoder: its heads and size, its blocks, and over how many devices it is split.

    Raises
    ------
    ValueError
        When the devices cannot have equal shares of the heads.
    """

    heads: int = 32
    head_size: int = 128
    blocks: int = 32
    devices: int = 4

    def __post_init__(self) -> None:
        if self.heads % self.devices:
            raise ValueError(f"devices: {self.devices} do not divide {self.heads} heads")

    @property
    def size(self) -> int:
        return self.heads * self.head_size

    @property
    def weight_bytes(self) -> int:
        """Of a device, 2 bytes a weight: QKV, projection and both feed-forward layers."""
        return 2 * 12 * self.size**2 * self.blocks // self.devices


@dataclass(frozen=True)
class Npu:
    """Arrays of an NPU, and the bytes a cycle that all channels together give it, 32 each."""

    arrays: int = 8
    rows: int = 128
    cols: int = 128
    bytes_per_cycle: int = 1024
    vector_lanes: int = 8 * 128

    def gemm(self, m: int, k: int, n: int) -> Work:
        """Work of a product whose columns are dealt to the arrays, weights from memory.

        An array takes what a GEMM core takes: 2 + K + (tiles - 1) max(K, 2 rows + cols + 1) +
        2 rows + cols.
        """
        if not m:
            return Work()
        tiles = ceil_div(m, self.rows) * ceil_div(ceil_div(n, self.arrays), self.cols)
        edge = 2 * self.rows + self.cols
        arrays = 2 + k + (tiles - 1) * max(k, edge + 1) + edge
        return Work(arrays, 2 * k * n / self.bytes_per_cycle)

    def qkv(self, model: Model, batch: int) -> Work:
        return self.gemm(batch, model.size, 3 * model.size // model.devices)

    def rest(self, model: Model, batch: int) -> Work:
        """Projection and feed-forward layers."""
        size, part = model.size, model.size // model.devices
        shapes = ((part, size), (size, 4 * part), (4 * part, size))
        return sum((self.gemm(batch, k, n) for k, n in shapes), Work())

    def softmax(self, model: Model, tokens: Sequence[int]) -> float:
        """Cycles of the vector units: five operations a logit."""
        return 5 * sum(tokens) * (model.heads // model.devices) / self.vector_lanes


def tile_period(org: Organisation, timing: Timing, policy: Policy, k: int, gemvs: int) -> float:
    """Cycles of one tile in a long run of them, measured on the cycle model."""
    tiles = 40 if timing.t_refi else 4
    trace = [Request(Op.GWRITE)]
    for tile in range(tiles):
        trace += [Request(Op.HEADER, row=tile + 1, k=k, gemvs=gemvs)]
        trace += [Request(Op.GEMV, k=k)] * gemvs
    headers = simulate(org, timing, policy, trace).cycles_of(Command.HEADER)
    return (headers[-1] - headers[1]) / (tiles - 2)


def shares(org: Organisation, timing: Timing, policy: Policy) -> tuple[float, float]:
    """Part of their own rates that a stream of reads and the PIM keep when both run.

    Both are measured on the cycle model for as long as both have work: tiles of K against reads
    row by row, banks in turn.
    """
    count, tiles = 2048, 24
    reads = [
        Request(
            Op.READ,
            bank=(at // org.columns) % org.all_banks,
            row=100 + at // org.columns // org.all_banks,
            column=at % org.columns,
        )
        for at in range(count)
    ]
    pim = [Request(Op.GWRITE)]
    for tile in range(tiles):
        pim += [Request(Op.HEADER, row=tile + 1, k=8, gemvs=4), *[Request(Op.GEMV, k=8)] * 4]
    both = simulate(org, timing, policy, pim + reads)
    alone_mem = simulate(org, timing, policy, reads).mem_end
    alone_pim = simulate(org, timing, policy, pim).pim_end
    end = min(both.pim_end, both.mem_end)
    read = sum(e.command is Command.RD and e.cycle < end for e in both.events)
    done = sum(e.command is Command.GEMV and e.cycle < end for e in both.events)
    return (read / count) * alone_mem / end, (done / (4 * tiles)) * alone_pim / end


@dataclass(frozen=True)
class Plan:
    """One way to run a batch: cycles a token of every request, and tokens a second at 1 GHz."""

    name: str
    cycles: float
    tokens_per_second: float


def plans(
    model: Model,
    tokens: Sequence[int],
    channels: int = 32,
    org: Organisation | None = None,
    timing: Timing | None = None,
    npu: Npu | None = None,
    *,
    pre_all: bool = False,
) -> list[Plan]:
    """Plan a batch in four ways: one buffer, two, two with bin packing, and with sub-batches.

    With one buffer, memory waits while PIM works: stages follow each other, the softmax of a head
    and the traffic of its logits included. With two, those hide behind the PIM's work on other
    heads. Interleaving lets a stage of the NPU and one of the PIM overlap as well, at the rates
    that the cycle model leaves to each where memory activates are not held back.

    Parameters
    ----------
    tokens
        Of each request of the batch so far.
    channels
        Of the device; the weights are spread over all of them.
    npu
        By default one that all channels feed at their full rate.

    Raises
    ------
    ValueError
        When the weights, or a channel's requests beside them, do not fit into its rows.
    """
    org, timing = org or Organisation(), timing or Timing()
    npu = npu or Npu(bytes_per_cycle=channels * org.column_bytes // timing.burst)
    heads = model.heads // model.devices
    lanes = org.lanes
    k_steps = ceil_div(model.head_size, lanes)
    per_row = max(1, org.steps // k_steps)
    result = []

    def estimate(dual: bool) -> Estimate:
        policy = Policy(dual=dual, pre_all=pre_all)
        return Estimate(
            heads=heads,
            head_size=model.head_size,
            elements=org.elements,
            banks=org.all_banks,
            gwrite=timing.gwrite + timing.t_rcd,
            k_tile=round(tile_period(org, timing, policy, k_steps, min(per_row, heads))),
            v_tile=round(tile_period(org, timing, policy, org.steps, 1)),
        )

    def mha(batch: Sequence[Sequence[int]], cost: Estimate) -> float:
        return max(sum(map(cost, requests)) for requests in batch)

    def host(batch: Sequence[Sequence[int]]) -> float:
        """Softmax, and logits read and weights written, all of 2 bytes."""
        flat = [each for requests in batch for each in requests]
        moved = 2 * 2 * sum(flat) * heads / npu.bytes_per_cycle
        return npu.softmax(model, flat) + moved

    def add(name: str, cycles: float) -> None:
        result.append(Plan(name, cycles, len(tokens) * 1e9 / cycles))

    dealt = round_robin(tokens, channels)
    blocked, dual = estimate(False), estimate(True)
    packed = assign(tokens, [[] for _ in range(channels)], dual)
    weights = ceil_div(model.weight_bytes, channels * org.all_banks * org.row_bytes)
    if weights > org.rows:
        raise ValueError(
            f"channels: {channels} are too few for the weights, which take {weights} rows of a "
            f"bank, and it has {org.rows}"
        )
    for requests in (*dealt, *packed):
        _check_rows(org, model, requests, weights)
    size = len(tokens)
    qkv, rest = npu.qkv(model, size), npu.rest(model, size)
    one_buffer = Costs(qkv, mha(dealt, blocked) + host(dealt), rest)
    add("one buffer", serial(one_buffer, model.blocks))
    add("two buffers", serial(Costs(qkv, max(mha(dealt, dual), host(dealt)), rest), model.blocks))
    whole = Costs(qkv, max(mha(packed, dual), host(packed)), rest)
    add("and bin packing", serial(whole, model.blocks))
    overlap = Overlap(*shares(org, timing, Policy(pre_all=pre_all, hold_act=False)))
    halves = []
    for half in split(packed):
        count = sum(map(len, half))
        attention = max(mha(half, dual), host(half))
        halves.append(Costs(npu.qkv(model, count), attention, npu.rest(model, count)))
    cycles = interleaved(halves[0], halves[1], model.blocks, overlap)
    add("and sub-batches", cycles)
    return result


def _check_rows(org: Organisation, model: Model, tokens: Sequence[int], weights: int) -> None:
    heads = model.heads // model.devices
    rows = 0
    for count in tokens:
        k_rows = ceil_div(count, org.all_banks) * ceil_div(heads * model.head_size, org.elements)
        v_tiles = ceil_div(model.head_size, org.all_banks)
        rows += k_rows + heads * ceil_div(count, org.elements) * v_tiles
    rows *= model.blocks
    if rows + weights > org.rows:
        raise ValueError(
            f"tokens: {len(tokens)} requests of a channel take {rows} rows beside the {weights} of "
            f"the weights, and a bank has {org.rows}"
        )
