"""Traces as text, and what is refused."""

import re

import numpy as np
import pytest
from pim_traces import ORGANISATIONS, SMALL

from golden.pim_model import Channel
from golden.pim_random import random_trace
from golden.pim_timing import Policy, Timing
from golden.pim_trace import Op, Request, read_trace, write_trace


def read(text: str, policy: Policy | None = None) -> list[Request]:
    return read_trace(text, ORGANISATIONS["F32"], Timing(), policy or Policy())


def test_a_trace() -> None:
    text = """
    GWRITE 0 3        # bank, row
    @40 HEADER 7 8 2  # row, steps, GEMVs
    GEMV 8
    GEMV 8
    WRITE 31 7 15 ff  # waits for both
    READ 31 7 15
    """
    requests = read(text)
    assert requests[0] == Request(Op.GWRITE, bank=0, row=3)
    assert requests[1] == Request(Op.HEADER, row=7, k=8, gemvs=2, arrival=40)
    assert requests[4] == Request(Op.WRITE, 31, 7, 15, data=255, after=4)
    assert requests[5] == Request(Op.READ, 31, 7, 15)


def test_what_is_written_is_read() -> None:
    trace = random_trace(np.random.default_rng(5), SMALL, 6, 300)
    assert read_trace(write_trace(trace), SMALL, Timing(), Policy()) == trace


BAD = {
    "READ 0 1": "line 1: READ takes bank, row, column",
    "GWRITE 0 0\nREED 0 1 2": "line 2: 'REED' is not one of GWRITE, HEADER, GEMV, READ, WRITE",
    "# rows\n\nREAD 0 32768 0": "line 3: row 32768 is not in 0..32767",
    "READ 32 0 0": "line 1: bank 32 is not in 0..31",
    "READ 0 x 0": "line 1: row 'x' is not a number",
    "@-1 READ 0 0 0": "line 1: @CYCLE stands before a request, and is not negative",
    "GEMV 8": "line 1: a GEMV without a header",
    "HEADER 1 8 1\nGEMV 8\nGEMV 8": "line 3: a GEMV without a header",
    "HEADER 1 8 1\nGEMV 7": "line 2: k 7 is not 8, as its header announces",
    "HEADER 1 8 2\nGEMV 8\nGWRITE 0 0": "line 3: 1 GEMVs of the header before it are missing",
    "HEADER 1 8 2\nGEMV 8": "line 1: 1 GEMVs of the last header are missing",
    "HEADER 1 0 1": "line 1: k 0 is not in 1..63",
    "HEADER 1 16 3": "line 1: 3 GEMVs of 16 steps are more than the 32 of a row",
    "READ 0 0 0\nWRITE 0 0 0 1" + 128 * "0": "line 2: data has 65 bytes, and a column has 64",
    "WRITE 0 0 0 " + 9000 * "f": "line 1: data has 4500 bytes, and a column has 64",
    "WRITE 0 0 0 -1": "line 1: data '-1' is not a number",
    "READ 0 1_0 0": "line 1: row '1_0' is not a number",
    "READ 0 0 " + 5000 * "7": f"line 1: column '{20 * '7'}...' is not a number",
    9000 * "R": f"line 1: '{20 * 'R'}...' is not one of GWRITE, HEADER, GEMV, READ, WRITE",
    "@1000001 READ 0 0 0": "line 1: arrival 1000001 is not in 0..1000000",
    "# nothing\n": "trace: it has no request",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_traces(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(BAD[text])}$"):
        read(text)


def test_a_header_longer_than_refresh_allows() -> None:
    timing = Timing(t_refi=1000)
    with pytest.raises(ValueError, match=r"^line 1: the header needs 210 cycles, and refresh "):
        read_trace("HEADER 1 8 4\n" + "GEMV 8\n" * 4, ORGANISATIONS["F32"], timing, Policy())


def test_a_header_longer_than_memory_waits() -> None:
    with pytest.raises(ValueError, match=r"^line 1: the header holds memory for 211 cycles, and "):
        read("HEADER 1 8 4\n" + "GEMV 8\n" * 4, Policy(max_wait=700))


def test_refresh_that_leaves_no_time_for_memory() -> None:
    """The shortest interval that is accepted lets every request be served."""
    says = r"^line 1: the {} needs {} cycles, and refresh every t_refi={} leaves {}$"
    for text, needed, t_refi in (("READ 0 1 0", 15, 331), ("GWRITE 0 1", 127, 443)):
        short = Timing(t_refi=t_refi - 1)
        message = says.format(text.partition(" ")[0], needed, t_refi - 1, needed - 1)
        with pytest.raises(ValueError, match=message):
            read_trace(text, ORGANISATIONS["S4"], short, Policy())
        requests = read_trace(f"{text}\n" * 9, ORGANISATIONS["S4"], Timing(t_refi=t_refi), Policy())
        assert Channel(ORGANISATIONS["S4"], Timing(t_refi=t_refi), Policy(), requests).run_all(9999)
    with pytest.raises(ValueError, match=says.format("READ", 15, 10, 0)):
        read_trace("READ 0 0 0", ORGANISATIONS["S4"], Timing(t_refi=10), Policy())


def test_a_bound_that_cannot_be_kept() -> None:
    for text, least, end in (
        ("READ 0 1 0", 518, "an access may take$"),
        ("GWRITE 0 1", 614, "memory may wait for the GWRITE of line 1$"),
    ):
        message = f"^max_wait: {least - 1} is less than the {least} cycles that {end}"
        with pytest.raises(ValueError, match=message):
            read_trace(text, ORGANISATIONS["S4"], Timing(), Policy(max_wait=least - 1))
        assert read_trace(text, ORGANISATIONS["S4"], Timing(), Policy(max_wait=least))
