"""Boolean functions as Liberty writes them: ``!A``, ``A'``, ``A & B``, ``A * B``, ``A B``, ..."""

import functools
import re
from collections.abc import Mapping, Sequence

_TOKEN = re.compile(r"\s*(?:([A-Za-z_][\w\[\]]*)|([01])|(.))")


class BooleanFunction:
    """A Boolean expression over named pins.

    Parameters
    ----------
    text
        In Liberty's syntax.

    Raises
    ------
    ValueError
        When the text is no expression.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = [match.group().strip() for match in _TOKEN.finditer(text) if match.group()]
        self._tokens = [token for token in self._tokens if token]
        self._position = 0
        python = self._sum()
        if self._position != len(self._tokens):
            raise ValueError(f"function: {text!r} is not a Boolean expression")
        names = [token for token in self._tokens if re.match(r"[A-Za-z_]", token)]
        self.pins: tuple[str, ...] = tuple(dict.fromkeys(names))
        self._code = compile(python, "<liberty>", "eval")

    def __call__(self, values: Mapping[str, int]) -> int:
        """Return the value, 0 or 1, for the values of the pins."""
        return int(eval(self._code, {}, {"v": values}))

    def truth_table(self, pins: Sequence[str]) -> int:
        """Return the truth table: bit i is the value where pin k has bit k of i."""
        table = 0
        for i in range(1 << len(pins)):
            values = {pin: i >> k & 1 for k, pin in enumerate(pins)}
            table |= self(values) << i
        return table

    def _peek(self) -> str:
        return self._tokens[self._position] if self._position < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._position += 1
        return token

    def _sum(self) -> str:
        text = self._product()
        while self._peek() in ("+", "|"):
            self._take()
            text = f"({text}|{self._product()})"
        return text

    def _product(self) -> str:
        text = self._exclusive()
        while self._peek() in ("*", "&") or re.match(r"[A-Za-z_01!(]", self._peek()):
            if self._peek() in ("*", "&"):
                self._take()
            text = f"({text}&{self._exclusive()})"
        return text

    def _exclusive(self) -> str:
        text = self._factor()
        while self._peek() == "^":
            self._take()
            text = f"({text}^{self._factor()})"
        return text

    def _factor(self) -> str:
        token = self._take()
        if token == "!":
            text = f"(1^{self._factor()})"
        elif token == "(":
            text = self._sum()
            if self._take() != ")":
                raise ValueError(f"function: {self.text!r} lacks a closing parenthesis")
        elif token in ("0", "1"):
            text = token
        elif re.match(r"[A-Za-z_]", token):
            text = f"v[{token!r}]"
        else:
            raise ValueError(f"function: {self.text!r} is not a Boolean expression")
        while self._peek() == "'":
            self._take()
            text = f"(1^{text})"
        return text


@functools.cache
def boolean(text: str) -> BooleanFunction:
    """Return the function that `text` says, parsed once."""
    return BooleanFunction(text)
