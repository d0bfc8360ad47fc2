"""Tables of twiddle factors against the golden model's."""

import pytest

from golden.ntt import Ring
from hw.twiddles import GENERATED, GEOMETRIES, STORED, Table, TwiddlesConfig


def config(
    size: int, butterflies: int, geometry: str, twiddles: str, reducer: str
) -> TwiddlesConfig:
    return TwiddlesConfig.from_settings(
        {
            "modulus": 786433,
            "size": size,
            "butterflies": butterflies,
            "geometry": geometry,
            "twiddles": twiddles,
            "reducer": reducer,
        }
    )


def factors(table: Table, address: int, bits: int) -> list[int]:
    word = table.rom.words[address]
    return [word >> place & ((1 << bits) - 1) for place in range(0, table.rom.width, bits)]


@pytest.mark.parametrize("reducer", ["barrett", "word_montgomery"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("size", [8, 64, 1024, 4096])
def test_words_of_tables_multiply_to_factors(size: int, geometry: str, reducer: str) -> None:
    for butterflies in (1, 2, 4):
        stored = config(size, butterflies, geometry, STORED, reducer)
        generated = config(size, butterflies, geometry, GENERATED, reducer)
        q, order = stored.modulus, stored.order
        ring = Ring.of(q, size)
        (whole,), (high, low) = stored.tables, generated.tables
        radix = 1 << stored.product.radix_bits
        inverse_radix = pow(radix, -1, q)
        ones = [factors(table, 0, stored.bits) for table in (whole, high, low)]
        assert {f * inverse_radix % q for row in ones for f in row} == {1}
        for inverse in (False, True):
            table = ring.twiddles(inverse).tolist()
            for stage in range(order.address_bits):
                for group, indices in enumerate(order.twiddles(stage)):
                    expected = [table[i] * radix % q for i in indices]
                    at = whole.starts[inverse][stage] + group
                    assert factors(whole, at, stored.bits) == expected
                    (common,) = factors(
                        high, high.starts[inverse][stage] + (group >> high.first_bit), stored.bits
                    )
                    rest = group & ((1 << low.end_bit) - 1)
                    each = factors(low, low.starts[inverse][stage] + rest, stored.bits)
                    assert [f * common * inverse_radix % q for f in each] == expected


def test_generated_factors_need_little_memory() -> None:
    """Of 65536 coefficients and 16 butterflies a fortieth of what is stored otherwise."""
    stored = config(65536, 16, "in_place", STORED, "barrett").tables
    generated = config(65536, 16, "in_place", GENERATED, "barrett").tables
    bits = [sum(t.rom.width * len(t.rom.words) for t in tables) for tables in (stored, generated)]
    assert 40 * bits[1] < bits[0]
