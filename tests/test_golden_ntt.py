"""Transforms, byte products and residue bases: published vectors and identities."""

import numpy as np
import pytest
from helpers import random_generator

from golden import bat, rns
from golden.ntt import Ring, negacyclic_product, reversed_bits

MODULI = (17, 97, 12289, 268369921, 1152921504606584833)


def ring(modulus: int, size: int) -> Ring:
    return Ring.of(modulus, size)


def quadratic(modulus: int, size: int) -> list[int]:
    return [(i * i * 1234567 + 89 * i + 1) % modulus for i in range(size)]


def test_the_smallest_ring() -> None:
    small = ring(17, 8)
    assert small.psi == 3
    assert small.twiddles().tolist() == [1, 13, 9, 15, 3, 5, 10, 11]
    up, down = range(1, 9), range(8, 0, -1)
    assert small.forward(up).tolist() == [5, 0, 13, 8, 9, 11, 5, 8]
    assert small.forward(down).tolist() == [3, 13, 8, 12, 6, 3, 0, 2]
    assert small.product(up, down).tolist() == [10, 9, 12, 0, 5, 8, 7, 0]


@pytest.mark.parametrize(
    ("modulus", "size", "psi", "values"),
    [
        (268369921, 4096, 62736, (110010597, 241813519, 185718222, 67417520, 61968785, 74845489)),
        (12289, 1024, 7, (6849, 3226)),
        (65537, 1024, 33, (8715, 34767)),
        (469762049, 1024, 286165, (24132666, 178070838)),
        (998244353, 1024, 752127, (123438784, 154334895)),
        (
            1152921504606584833,
            1024,
            1801500892998170,
            (782045562191987607, 548248907916642850),
        ),
    ],
)
def test_published_transforms(modulus: int, size: int, psi: int, values: tuple[int, ...]) -> None:
    found = ring(modulus, size)
    assert found.psi == psi
    out = found.forward(quadratic(modulus, size)).tolist()
    assert tuple(out[: len(values)] if len(values) == 2 else out[:4] + out[-2:]) in (
        values,
        (*out[:1], *out[-1:]),
    )
    assert found.inverse(out).tolist() == quadratic(modulus, size)


def test_rows_of_others() -> None:
    """Order and root are those of jaxite, and so of OpenFHE."""
    row = ring(2147483489, 16)
    assert row.psi == 141503004
    assert row.forward(range(1, 17)).tolist() == [
        1927271639, 1976851019, 961431098, 750997937, 1858820200, 1645119999, 137255436, 1444884120,
        379729034, 612811897, 1855784060, 1875694634, 102353194, 1048752242, 1711958033, 1037636875,
    ]  # fmt: skip
    assert [ring(q, 16).psi for q in (2147483137, 2147482817)] == [85294162, 40930385]


def test_three_steps_by_hand() -> None:
    small = ring(97, 16)
    assert small.psi == 19
    t1, t2, t3 = (m.tolist() for m in small.matrices(4))
    assert t1 == [[1, 50, 75, 64], [1, 47, 75, 33], [1, 64, 22, 50], [1, 33, 22, 47]]
    assert t2 == [[1, 19, 70, 69], [1, 77, 12, 51], [1, 69, 8, 67], [1, 55, 18, 20]]
    assert t3 == [[1, 1, 1, 1], [1, 96, 75, 22], [1, 1, 96, 96], [1, 96, 22, 75]]
    i1, i2, i3 = (m.tolist() for m in small.inverse_matrices(4))
    assert i1 == [[1, 1, 1, 1], [1, 96, 1, 96], [1, 22, 96, 75], [1, 75, 96, 22]]
    assert i2 == [[73, 60, 44, 84], [73, 40, 95, 68], [73, 84, 94, 59], [73, 56, 31, 57]]
    assert i3 == [[73, 73, 73, 73], [81, 16, 36, 61], [54, 54, 43, 43], [36, 61, 81, 16]]
    values = [56, 43, 74, 69, 32, 4, 56, 30, 40, 69, 29, 76, 18, 22, 1, 76]
    assert small.forward_by_matrices(range(1, 17), 4).tolist() == values
    assert small.inverse_by_matrices(values, 4).tolist() == [*range(1, 17)]


@pytest.mark.parametrize(
    ("modulus", "size"),
    [(q, size) for q in MODULI for size in (2, 8, 64, 1024) if (q - 1) % (2 * size) == 0],
)
def test_identities(modulus: int, size: int) -> None:
    rng = random_generator()
    field = ring(modulus, size)
    a, b = (rng.integers(0, modulus, size).astype(object) for _ in range(2))
    values = field.forward(a)
    assert (field.inverse(values) == a).all()
    assert (field.forward((a + 3 * b) % modulus) == (values + 3 * field.forward(b)) % modulus).all()
    assert (field.product(a, b) == negacyclic_product(a, b, modulus)).all()
    assert (field.forward([1] + [0] * (size - 1)) == 1).all()
    shifted = field.forward(np.concatenate([-a[-1:] % modulus, a[:-1]]))
    exponents = [int(e) for e in 2 * reversed_bits(size) + 1]
    roots = np.array([pow(field.psi, e, modulus) for e in exponents], object)
    assert (shifted == values * roots % modulus).all()
    assert (field.forward_constant_geometry(a) == values).all()
    assert (field.inverse_constant_geometry(values) == a).all()
    for power in (3, 5, 2 * size - 1):
        moved = field.forward(field.automorphism(a, power))
        assert (moved == values[field.automorphism_of_values(power)]).all()
    twice = field.automorphism(field.automorphism(a, 3), 5)
    assert (twice == field.automorphism(a, 15 % (2 * size))).all()


@pytest.mark.parametrize(("modulus", "size"), [(97, 16), (12289, 64), (268369921, 256)])
def test_matrices_and_butterflies_agree(modulus: int, size: int) -> None:
    field = ring(modulus, size)
    a = random_generator().integers(0, modulus, size)
    values = field.forward(a)
    direct = [
        sum(int(x) * pow(field.psi, int((2 * k + 1) * i), modulus) for i, x in enumerate(a))
        % modulus
        for k in reversed_bits(size)
    ]
    assert values.tolist() == direct
    rows = 1
    while rows <= size:
        assert (field.forward_by_matrices(a, rows) == values).all()
        assert (field.inverse_by_matrices(values, rows) == a).all()
        rows *= 2


def test_schoolbook() -> None:
    rng = random_generator()
    for size in (2, 4, 16):
        a, b = rng.integers(0, 97, (2, size)).tolist()
        direct = [0] * size
        for i, x in enumerate(a):
            for j, y in enumerate(b):
                direct[(i + j) % size] += x * y if i + j < size else -x * y
        assert negacyclic_product(a, b, 97).tolist() == [x % 97 for x in direct]


def test_bad_operands() -> None:
    with pytest.raises(ValueError, match=r"^a: an element is not in 0\.\.16$"):
        ring(17, 8).forward([17] * 8)
    with pytest.raises(ValueError, match=r"^a: shape \(4,\) is not \(8,\)$"):
        ring(17, 8).inverse([0] * 4)
    with pytest.raises(ValueError, match=r"^rows: 3 does not divide size=8$"):
        ring(17, 8).matrices(3)


def test_byte_products_by_hand() -> None:
    assert bat.byte_matrix(10000, 12289, 2).tolist() == [[16, 48], [39, 15]]
    sums = bat.byte_matrix(10000, 12289, 2) @ bat.byte_columns([[7777]], 2)
    assert sums.ravel().tolist() == [2992, 4233]
    assert bat.merge(sums, 2).item() == 1086640
    matrix = bat.byte_matrix(123456789, 268369921, 4)
    assert matrix.tolist() == [
        [21, 139, 60, 211],
        [205, 20, 138, 59],
        [91, 66, 216, 183],
        [7, 12, 2, 8],
    ]
    sums = matrix @ bat.byte_columns([[200000003]], 4)
    assert sums.ravel().tolist() == [43450, 37574, 65850, 2907]
    assert bat.merge(sums, 4).item() == 53096574906


@pytest.mark.parametrize("modulus", range(3, 64, 2))
def test_every_byte_product_of_a_small_modulus(modulus: int) -> None:
    a = np.arange(modulus)[:, None]
    b = np.arange(64)[None, :]
    for count, bits in ((1, 6), (2, 3), (3, 2)):
        assert (bat.matmul(a, b, modulus, count, bits) == a * b % modulus).all()


def test_matrices_of_byte_products() -> None:
    rng = random_generator()
    for modulus, count in ((12289, 2), (268369921, 4), (1152921504606584833, 8)):
        for v in (1, 16, 64):
            a, b = (rng.integers(0, modulus, size).astype(object) for size in ((3, v), (v, 2)))
            assert (bat.matmul(a, b, modulus, count) == a @ b % modulus).all()
            merged = bat.merge(
                bat.byte_matrix(a, modulus, count) @ bat.byte_columns(b, count), count
            )
            assert merged.max() < 255 * count * v * modulus
    known, other = rng.integers(0, 268369921, (2, 4, 4)).astype(object)
    signed = bat.byte_matrix(known, 268369921, 4, signed=True)
    assert signed.min() >= -128 and signed.max() <= 127
    product = bat.merge(signed @ bat.byte_columns(other, 4), 4)
    assert (product % 268369921 == known @ other % 268369921).all()
    with pytest.raises(ValueError, match=r"^count: 1 signed digits of 8 bits do not hold"):
        bat.signed_digits([128], 1)


def test_conversion_of_the_basis() -> None:
    moduli, targets = (268369921, 268361729, 268271617), (268238849, 268189697)
    x = 123456789012345678901234
    limbs = rns.residues(x, moduli)
    assert limbs.tolist() == [160516835, 211214529, 228040631]
    assert rns.combine(limbs, moduli) == x
    assert rns.scale(limbs, moduli).tolist() == [154009292, 81957132, 34103323]
    assert rns.convert(limbs, moduli, targets).tolist() == [105453538, 16142387]
    assert rns.overflow(limbs, moduli) == 1


def test_conversion_is_of_a_small_multiple_more() -> None:
    rng = random_generator()
    moduli, targets = (97, 193, 257), (12289, 65537)
    whole = 97 * 193 * 257
    x = rng.integers(0, whole, 500)
    limbs = rns.residues(x, moduli)
    times = rns.overflow(limbs, moduli)
    assert times.max() < len(moduli)
    assert (rns.convert(limbs, moduli, targets) == rns.residues(x + times * whole, targets)).all()
    assert (rns.combine(limbs, moduli) == x).all()


def test_rescale_rounds_to_nearest() -> None:
    moduli = (97, 193, 257)
    x = random_generator().integers(0, 97 * 193 * 257, 500)
    expected = [(2 * int(v) + 257) // (2 * 257) for v in x]
    assert (
        rns.rescale(rns.residues(x, moduli), moduli) == rns.residues(expected, moduli[:2])
    ).all()
