"""What the documentation says about formats is what the golden models do."""

import re
from pathlib import Path

from golden.formats import FORMATS, decode, greatest_code, nan_code
from pe.mx import MxDotConfig

DOCS = (Path(__file__).resolve().parent.parent / "docs" / "formats.md").read_text()


def number(text: str) -> float:
    """Read a figure such as ``2^-14``, ``0x7F`` or ``448``."""
    base, _, power = text.partition("^")
    return float(base) ** int(power) if power else float(int(text, 0) if "x" in text else text)


def test_floats() -> None:
    rows = re.findall(r"^\| `(\w+)` \| 1, (\d), (\d+) \| (.+) \|$", DOCS, re.MULTILINE)
    assert [name for name, *_ in rows] == [n for n, f in FORMATS.items() if f.mantissa]
    for name, exponent, mantissa, rest in rows:
        found = FORMATS[name]
        bias, largest, normal, least, infinity, nan = rest.split(" | ")
        assert (found.exponent, found.mantissa) == (int(exponent), int(mantissa))
        assert found.bias == int(bias)
        top, first, second = decode([greatest_code(name), 1 << found.mantissa, 1], name)
        assert f"{top:.2g}" == f"{number(largest):.2g}"
        assert (first, second) == (number(normal), number(least))
        assert (found.specials == "IEEE") == (infinity != "-")
        if infinity != "-":
            assert greatest_code(name) + 1 == number(infinity)
        assert (nan_code(name) is None) == (nan == "-")


def test_widths() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \|$", DOCS, re.MULTILINE)
    assert len(rows) == 6
    for name, product, total in rows:
        config = MxDotConfig(format_a=name, format_b=name)
        assert config.pair.shape.width == int(product)
        assert config.pair.shape.width + 5 == int(total)
