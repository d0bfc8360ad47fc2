"""Memories of the simulated design as NumPy arrays, and matrices packed into their words."""

from __future__ import annotations

import ctypes
import functools

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.integer]


class _Memory(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("depth", ctypes.c_uint64),
        ("width", ctypes.c_uint64),
        ("entry_bytes", ctypes.c_uint64),
    )


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None)
    library.rtloom_find_memory.argtypes = [ctypes.c_char_p, ctypes.POINTER(_Memory)]
    library.rtloom_find_memory.restype = ctypes.c_int
    return library


def memory_view(path: str) -> Bytes:
    """Return the storage of a public memory of the running simulation, not a copy.

    Parameters
    ----------
    path
        Hierarchical name below the top module, for instance ``"a_mem.storage"``.

    Returns
    -------
    ndarray of uint8 [depth, entry_bytes]
        Row i is the word at address i, least significant byte first, in `entry_bytes(width)`
        bytes. Bits beyond the width must stay 0. A write is seen by the design's next evaluation;
        a write on a clock edge comes before the edge.

    Raises
    ------
    ValueError
        When no public memory has this path.
    """
    memory = _Memory()
    status = _library().rtloom_find_memory(path.encode(), ctypes.byref(memory))
    if status:
        what = "a memory" if status == -2 else "public in this simulator"
        raise ValueError(f"path: {path!r} is not {what}")
    shape = (memory.depth, memory.entry_bytes)
    buffer = (ctypes.c_uint8 * (shape[0] * shape[1])).from_address(memory.data)
    return np.frombuffer(buffer, np.uint8).reshape(shape)


def entry_bytes(width: int) -> int:
    """Return the bytes that Verilator uses for a word of `width` bits."""
    if width < 1:
        raise ValueError(f"width: {width} is not 1 or more")
    for size in (1, 2, 4, 8):
        if width <= 8 * size:
            return size
    return 4 * (-(-width // 32))


def _check_lane_bits(lane_bits: int) -> None:
    if not 1 <= lane_bits <= 64:
        raise ValueError(f"lane_bits: {lane_bits} is not in 1..64")


def pack(values: Integers, lane_bits: int, width: int | None = None) -> Bytes:
    """Pack rows of integers into memory words, lane 0 in the least significant bits.

    Parameters
    ----------
    values
        Integers [words, lanes], each in ``-2**(lane_bits - 1) .. 2**lane_bits - 1``: negative
        ones become two's complement.
    lane_bits
        Width of a lane in bits, 1 to 64.
    width
        Width of the memory in bits; by default just the lanes. Bits above the lanes are 0.

    Returns
    -------
    ndarray of uint8 [words, entry_bytes(width)]
        As rows of `memory_view`.

    Raises
    ------
    ValueError
        When a value does not fit in a lane, or the lanes do not fit in a word.
    """
    _check_lane_bits(lane_bits)
    if values.ndim != 2 or values.dtype.kind not in "iu":
        raise ValueError(f"values: {values.dtype} {values.shape} is not integers [words, lanes]")
    if values.size:
        for value in (int(values.min()), int(values.max())):
            if not -(1 << (lane_bits - 1)) <= value < 1 << lane_bits:
                raise ValueError(f"values: {value} does not fit in {lane_bits} bits")
    words, lanes = values.shape
    used = lanes * lane_bits
    width = used if width is None else width
    if used > width:
        raise ValueError(f"width: {width} is less than {lanes} lanes of {lane_bits} bits")
    size = entry_bytes(width)
    packed = np.zeros((words, size), np.uint8)
    wide = values.astype("<i8" if values.dtype.kind == "i" else "<u8", order="C")
    lane_storage = wide.view(np.uint8).reshape(words, lanes, 8)
    if lane_bits % 8 == 0:
        packed[:, : used // 8] = lane_storage[:, :, : lane_bits // 8].reshape(words, used // 8)
        return packed
    bits = np.unpackbits(lane_storage, axis=2, count=lane_bits, bitorder="little")
    rows = np.packbits(bits.reshape(words, used), axis=1, bitorder="little")
    packed[:, : rows.shape[1]] = rows
    return packed


def unpack(rows: Bytes, lane_bits: int, lanes: int, signed: bool) -> Integers:
    """Unpack memory words into rows of integers, the inverse of `pack`.

    Parameters
    ----------
    rows
        Words as rows of `memory_view`, uint8 [words, bytes].
    lane_bits
        Width of a lane in bits, 1 to 64.
    lanes
        Lanes in a word.
    signed
        Whether lanes are two's complement.

    Returns
    -------
    ndarray of int64 (signed) or uint64 [words, lanes]

    Raises
    ------
    ValueError
        When the lanes do not fit in a row.
    """
    _check_lane_bits(lane_bits)
    words, size = rows.shape
    used = lanes * lane_bits
    if used > 8 * size:
        raise ValueError(f"lanes: {lanes} of {lane_bits} bits are more than {size} bytes")
    lane_storage = np.zeros((words, lanes, 8), np.uint8)
    if lane_bits % 8 == 0:
        lane_storage[:, :, : lane_bits // 8] = rows[:, : used // 8].reshape(words, lanes, -1)
    else:
        bits = np.unpackbits(rows, axis=1, count=used, bitorder="little")
        lane_bytes = np.packbits(bits.reshape(words, lanes, lane_bits), axis=2, bitorder="little")
        lane_storage[:, :, : lane_bytes.shape[2]] = lane_bytes
    values = lane_storage.view("<u8")[:, :, 0]
    if not signed:
        return values
    unused = 64 - lane_bits
    return (values << np.uint64(unused)).view("<i8") >> np.int64(unused)
