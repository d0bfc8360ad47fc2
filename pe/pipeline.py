"""Pipelines of wide integer arithmetic: values that move on together, and multipliers in stages."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from amaranth.hdl import Const, Module, Shape, Signal, Value

VALID = "valid"


class Product(NamedTuple):
    """A product that a pipeline computes, one chunk of a factor a stage.

    Attributes
    ----------
    name
        Of the result, ``(addend +- a * b) >> shift``, modulo ``2**width``.
    a, b
        Names of the factors, which are unsigned.
    width
        Of the result in bits.
    shift
        Low bits that are dropped.
    addend
        Name of what the product is added to; nothing by default. With it, no bits are dropped.
    negative
        The product is subtracted.
    """

    name: str
    a: str
    b: str
    width: int
    shift: int = 0
    addend: str = ""
    negative: bool = False


class Pipeline:
    """Values by name; each `step` puts a register behind every one that is not a constant.

    Registers have no reset but ``valid``.
    """

    def __init__(self, m: Module, values: dict[str, Value]) -> None:
        self._m = m
        self._values = dict(values)
        self.depth = 0

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def let(self, **values: Value) -> None:
        """Name values of this stage."""
        self._values |= values

    def drop(self, *names: str) -> None:
        """Forget values."""
        for name in names:
            del self._values[name]

    def step(self, drop: Iterable[str] = (), /, **results: Value) -> None:
        """Go to the next stage with all values but those of `drop`, and with new results."""
        self.depth += 1
        kept = {name: value for name, value in self._values.items() if name not in drop}
        for name, value in (kept | results).items():
            kept[name] = value
            if not isinstance(value, Const):
                register = Signal(
                    value.shape(), name=f"{name}_{self.depth}", reset_less=name != VALID
                )
                self._m.d.sync += register.eq(value)
                kept[name] = register
        self._values = kept

    def multiply(self, products: list[Product], stages: int, drop: Iterable[str] = ()) -> None:
        """Compute products side by side in `stages` steps, then drop values."""
        drop = set(drop)
        factors = {p.a for p in products}
        so_far: dict[str, Value] = {p.name: self[p.addend] for p in products if p.addend}
        rests: dict[str, Value] = {p.name: self[p.b] for p in products}
        lengths = {name: len(rest) for name, rest in rests.items()}
        bases = dict.fromkeys(rests, 0)
        gone = (drop - factors) | {p.addend for p in products}
        for stage in range(stages):
            last = stage + 1 == stages
            results: dict[str, Value] = {}
            for p in products:
                rest, base = rests[p.name], bases[p.name]
                start = lengths[p.name] * stage // stages
                size = lengths[p.name] * (stage + 1) // stages - start
                chunk, rest = _below(rest, size), _above(rest, size)
                # Bits below the next chunk are final: those to be dropped go at once.
                following = p.shift if last else min(start + size + _zeros(rest), p.shift)
                whole = self._accumulate(p, chunk, start - base, so_far.get(p.name), base)
                results[p.name], bases[p.name] = whole, following
                if following > base:
                    results[p.name] = whole[following - base :]
                rests[p.name] = rest
                if not last and len(rest):
                    results[f"{p.name}_rest"] = rest
            self.step(gone | (drop if last else set()) | _rests(products), **results)
            so_far = {p.name: self[p.name] for p in products}
            if not last:
                rests |= {n: self[f"{n}_rest"] for n, rest in rests.items() if len(rest)}

    def _accumulate(
        self, p: Product, chunk: Value, weight: int, before: Value | None, base: int
    ) -> Signal:
        """Return ``before +- a * chunk * 2**weight``, in as many bits as are needed."""
        width = p.shift + p.width - base
        name = f"{p.name}{'_unused' * (p.shift > base)}_{self.depth}"
        if isinstance(chunk, Const):
            zeros = _zeros(chunk)
            chunk, weight = _above(chunk, min(zeros, len(chunk))), weight + zeros
        # Only so many bits of the factors count.
        count = max(0, width - weight)
        a, chunk = self[p.a][:count], _below(chunk, count)
        product, greatest = self._times(name, a, chunk)
        part = product << weight if len(product) else product
        greatest <<= weight if greatest else 0
        start = Const(0, 0) if before is None else before
        is_signed = start.shape().signed
        if is_signed:
            # Between -(2**(len - 1) + greatest) and 2**(len - 1) - 1.
            width = min(width, (greatest + (1 << (len(start) - 1)) - 1).bit_length() + 1)
        elif not p.negative:
            width = min(width, (greatest + (1 << len(start)) - 1).bit_length())
        total = Signal(Shape(width, is_signed), name=f"{name}_sum")
        self._m.d.comb += total.eq(start - part if p.negative else start + part)
        return total

    def _times(self, name: str, a: Value, b: Value) -> tuple[Value, int]:
        """Return ``a * b`` and the greatest it can be.

        By a constant it is made from the digits of the constant's canonical signed form.
        """
        if not len(a) or not len(b):
            return Const(0, 0), 0
        greatest = ((1 << len(a)) - 1) * (b.value if isinstance(b, Const) else (1 << len(b)) - 1)
        if not isinstance(b, Const):
            return a * b, greatest
        width = greatest.bit_length()
        digits = list(_signed_digits(b.value))[::-1]
        multiple = 1 << digits[0][1]
        total: Value = (a << digits[0][1])[:width]
        for digit, weight in digits[1:]:
            multiple += digit << weight
            following = Signal(width, name=f"{name}_times_{multiple >> weight}")
            shifted = a << weight
            self._m.d.comb += following.eq(total + shifted if digit > 0 else total - shifted)
            total = following
        return total, greatest


def _rests(products: list[Product]) -> set[str]:
    return {f"{p.name}_rest" for p in products}


def _signed_digits(value: int) -> Iterator[tuple[int, int]]:
    """Yield the digits -1 and 1 of a number with their weights, no two of them adjacent."""
    weight = 0
    while value:
        if value & 1:
            digit = 2 - (value & 3)
            yield digit, weight
            value -= digit
        value, weight = value >> 1, weight + 1


def _below(value: Value, bits: int) -> Value:
    """Return the low bits of a value; a constant stays one."""
    if isinstance(value, Const):
        return Const(value.value & ((1 << bits) - 1), min(bits, len(value)))
    return value[:bits]


def _above(value: Value, bits: int) -> Value:
    """Return a value without its low bits; a constant stays one."""
    if isinstance(value, Const):
        return Const(value.value >> bits, len(value) - bits)
    return value[bits:]


def _zeros(value: Value) -> int:
    """Return how many low bits of a constant are zero, all of them of zero itself."""
    if not isinstance(value, Const):
        return 0
    return (value.value & -value.value).bit_length() - 1 if value.value else 1 << 16
