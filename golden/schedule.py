"""Cycles of the systolic dataflows, by stepping through them cycle by cycle.

Written from the dataflows, not from a generator's formula: each model moves beats and rows as the
hardware may, one cycle at a time, with streams that always offer a beat and a sink that always
takes one. All counts run from the first beat taken to the last row of C given, both included.
"""

from collections import deque


def tiles(extent: int, size: int) -> list[int]:
    """Sizes of the tiles that cover `extent`, the last one perhaps smaller."""
    return [min(size, extent - start) for start in range(0, extent, size)]


def output_stationary_cycles(
    rows: int,
    cols: int,
    m: int,
    k: int,
    n: int,
    *,
    lanes: int = 1,
    systolic: bool = True,
    delay: int = 0,
    resolve: int = 0,
) -> int:
    """Cycles of an M x K x N product on an output-stationary engine of ``rows x cols`` PEs.

    A beat is `lanes` elements of K of a tile. In a systolic array a PE at (i, j) multiplies it
    i + j + 1 cycles after it is taken, in a broadcast engine every PE after one; recoded operands
    and pipelined PEs take `delay` longer. The sum is complete one cycle later and in the drain
    register one after that. When the last PE's is, rows leave one a cycle, and are given `resolve`
    cycles later. The last beat of the next tile is not taken before the final row has left.
    """
    remaining = len(tiles(m, rows)) * len(tiles(n, cols))
    beats = len(tiles(k, lanes))
    taken_of_tile = 0
    drain_starts: int | None = None
    rows_left = 0
    tile_in_flight = False
    cycle = -1
    while True:
        cycle += 1
        if drain_starts == cycle:
            rows_left, drain_starts = rows, None
        row_leaves = rows_left > 0
        last_beat = taken_of_tile == beats - 1
        if remaining and not (last_beat and tile_in_flight):
            taken_of_tile += 1
            if last_beat:
                taken_of_tile, remaining, tile_in_flight = 0, remaining - 1, True
                last_pe = (rows - 1) + (cols - 1) if systolic else 0
                multiplied = cycle + last_pe + 1 + delay
                complete = multiplied + 1
                drain_starts = complete + 1
        if row_leaves:
            rows_left -= 1
            if rows_left == 0:
                tile_in_flight = False
                if not remaining:
                    return cycle + 1 + resolve


def grouped_cycles(
    rows: int,
    cols: int,
    group: int,
    m: int,
    k: int,
    n: int,
    *,
    delay: int = 0,
    resolve: int = 0,
    dequantize: int = 3,
) -> int:
    """Cycles of an M x K x N product on a systolic array that takes its sums out once a group.

    As `output_stationary_cycles`, with the groups of a tile, `group` beats each but perhaps for the
    last, in the place of tiles. The last beat of a group is not taken before the sums of the one
    before have been dequantised, which begins `resolve` cycles after they leave the array and takes
    a row `dequantize` cycles, a row a cycle.
    """
    sizes = tiles(k, group) * len(tiles(m, rows)) * len(tiles(n, cols))
    cycle, free, taken = 0, 0, 0
    for size in sizes:
        for beat in range(size):
            if beat == size - 1:
                cycle = max(cycle, free)
            taken = cycle
            cycle += 1
        complete = taken + (rows - 1) + (cols - 1) + 1 + delay + 1
        free = complete + 1 + resolve + rows
    return free + dequantize


def weight_stationary_cycles(
    rows: int,
    cols: int,
    depth: int,
    m: int,
    k: int,
    n: int,
    *,
    recode: int = 0,
    delay: int = 0,
) -> int:
    """Cycles of an M x K x N product on a weight-stationary array of ``rows x cols`` PEs.

    A K-slice needs `rows` beats of B, then takes one beat of A a row of its tile, at most `depth`.
    Its first A beat swaps the weights in from the corner to the PE at (rows - 1, cols - 1), one
    cycle a step; the next weights may come in the cycle in which that PE swaps, but not with the
    beat itself. A partial sum reaches the accumulator of column j `rows` + j + 1 cycles after its
    beat. When a tile's last one is in the last column's, its rows are read one a cycle and given
    one cycle later. There are two accumulator banks; a tile starts when its bank's last tile is
    given.
    """
    slices = len(tiles(k, rows))
    work = deque(height for height in tiles(m, depth) for _ in tiles(n, cols))
    weights, weights_after = 0, 0
    free_banks = 2
    complete: deque[tuple[int, int]] = deque()  # when a tile may be read, and its rows
    given_last: set[int] = set()
    next_read = 0
    done_slices = beats = 0
    given_tiles, all_tiles = 0, len(work)
    cycle = -1
    while given_tiles < all_tiles:
        cycle += 1
        bank_freed = cycle in given_last
        slice_begins, tile_begins = beats == 0, beats == 0 and done_slices == 0
        ready = not slice_begins or weights == rows
        takes = bool(work) and ready and not (tile_begins and free_banks == 0)
        if weights < rows and cycle >= weights_after:
            weights += 1
        if takes:
            if tile_begins:
                free_banks -= 1
            if slice_begins:
                weights, weights_after = 0, cycle + max(1, (rows - 1) + (cols - 1) + recode)
            beats += 1
            if beats == work[0]:
                beats, done_slices = 0, done_slices + 1
                if done_slices == slices:
                    in_last_accumulator = cycle + rows + (cols - 1) + 1 + delay
                    complete.append((in_last_accumulator + 1, work.popleft()))
                    done_slices = 0
        if complete and cycle >= max(complete[0][0], next_read):
            height = complete.popleft()[1]
            next_read = cycle + height
            given_last.add(next_read)
        if bank_freed:
            free_banks += 1
            given_tiles += 1
    return cycle + 1
