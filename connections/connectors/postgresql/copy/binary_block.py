"""Finds the fields of all rows in a block of binary COPY data at once, with numpy.

Format: a row is the number of its fields in two bytes, and for each field its length in four bytes (-1 for NULL)
followed by the value; all numbers are big-endian. The data ends with the number -1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# the signature is followed by flags and the length of an extension, both 0
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
# bytes behind the data that may be read
PADDING = bytes(64)


class InvalidData(Exception):
    """The bytes are not rows with these fields."""


class FieldType(NamedTuple):
    """What is read of each value after its length, and the length if it is always the same, else 0."""

    head: Sequence[tuple[str, str]] = ()
    size: int = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype([("length", ">i4"), *self.head])


class Field(NamedTuple):
    """One field of all rows of a block: where its values begin, and their heads, whose names are those of its type."""

    starts: Array
    heads: Array

    @property
    def valid(self) -> Array:
        """Which values are not NULL."""
        lengths: Array = self.heads["length"]
        return lengths >= 0


class Block:
    """The rows that are complete in ``data``, which begins with a row and ends with PADDING.

    ``rest`` are the bytes after them; ``needed`` is the least number of bytes of which more rows can be found.
    """

    def __init__(self, data: bytes, types: Sequence[FieldType]) -> None:
        self.data = data
        self._bytes = np.frombuffer(data, np.uint8)
        self._size = len(data) - len(PADDING)
        self._types = types
        starts, ends, fields = self._fields(self._possible_starts())
        rows = _chain(starts, ends, self._size)
        self.fields = [Field(at[rows], heads[rows]) for at, heads in fields]
        ends = ends[rows]
        self.rows = len(ends)
        used = int(ends[-1]) if self.rows else 0
        self.rest = data[used : self._size]
        self._check_rest()
        self.needed = self._size_of_next()

    def read(self, starts: Array, dtype: np.dtype[Any]) -> Array:
        """Return the values of a type that begin at these bytes."""
        # without the names of a structure, as numpy copies those one by one
        plain = np.dtype((np.void, dtype.itemsize))
        every = np.ndarray((len(self._bytes) - dtype.itemsize + 1,), plain, self._bytes, 0, (1,))
        return every[starts].view(dtype)

    def _possible_starts(self) -> Array:
        """Return where rows may begin, in order: all rows do, and by chance other bytes look the same."""
        number = np.frombuffer(len(self._types).to_bytes(2, "big"), np.uint16)
        found = []
        for odd in (0, 1):
            pairs = np.frombuffer(self.data, np.uint16, max(0, self._size - odd) // 2, odd)
            found.append(2 * np.flatnonzero(pairs == number) + odd)
        starts = np.concatenate(found)
        starts.sort()
        return starts

    def _fields(self, starts: Array) -> tuple[Array, Array, list[Field]]:
        """Return the starts that rows may have by the lengths of their fields, where these end, and the fields.

        Rows that are not complete end behind the data.
        """
        fields: list[Field] = []
        ends = starts + 2
        for field_type in self._types:
            at = np.minimum(ends, self._size)
            heads = self.read(at, field_type.dtype)
            lengths = heads["length"].astype(np.int64)
            possible = lengths >= -1
            if field_type.size:
                # beyond the data there are zeros
                possible = (lengths == field_type.size) | (lengths == -1) | (ends + 4 > self._size)
            at = at + 4
            ends = at + np.maximum(lengths, 0)
            fields.append(Field(at, heads))
            if not possible.all():
                starts, ends = starts[possible], ends[possible]
                fields = [Field(*(array[possible] for array in field)) for field in fields]
        return starts, ends, fields

    def _check_rest(self) -> None:
        """Raise InvalidData unless the bytes after the rows are the beginning of a row, or the trailer."""
        begin, number = self.rest[:2], len(self._types).to_bytes(2, "big")
        if begin not in (number[: len(begin)], TRAILER[: len(begin)]):
            raise InvalidData(f"instead of a row with {len(self._types)} fields there is 0x{begin.hex()}")

    def _size_of_next(self) -> int:
        """Return how many bytes the next row has up to the end of its first incomplete value or length."""
        at = 2
        for _ in self._types:
            if at > len(self.rest):
                break
            if at + 4 > len(self.rest):
                return at + 4
            at += 4 + max(0, int.from_bytes(self.rest[at : at + 4], "big", signed=True))
        return at


def _chain(starts: Array, ends: Array, size: int) -> Array | slice:
    """Return which of the possible starts are those of complete rows: the first is 0, others are where a row ends."""
    if not len(starts) or starts[0] != 0:
        return slice(0)
    breaks = np.flatnonzero(ends[:-1] != starts[1:])
    if not len(breaks):
        return slice(len(starts) if ends[-1] <= size else len(starts) - 1)
    rows = np.ones(len(starts), bool)
    row = 0
    for position in breaks.tolist():
        if position < row:
            continue
        # the row at ``position`` ends elsewhere than at the next possible start
        row = int(np.searchsorted(starts, ends[position]))
        rows[position + 1 : row] = False
        if row < len(starts) and starts[row] != ends[position]:
            # no row begins where it ends: what follows is the trailer or an error
            rows[row:] = False
            break
    rows &= ends <= size
    return rows
