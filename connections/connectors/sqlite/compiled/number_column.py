"""A column of numbers in one batch, as it was read by storage class, converted to the type of the destination."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from connections.connectors.sqlite.compiled.cursor import Modules
from connections.sdk.arrow import compute as pc
from connections.sdk.arrow.convert import convert_exactly
from connections.sdk.arrow.numbers import nearest_decimals
from connections.sdk.schema import Column
from connections.sdk.types import to_arrow


class NumberColumn:
    """``seen`` has the bits of the storage classes, ``valid`` the validity bitmap; the rest is that of `numbers.pyx`.

    The conversions are those of `SqliteBatches`: the same values fail, with the same errors.
    """

    def __init__(
        self,
        modules: Modules,
        column: Column,
        count: int,
        seen: int,
        nulls: int,
        valid: bytes | None,
        classes: bytes,
        slots: bytes,
        text: bytes,
    ) -> None:
        self.modules = modules
        self.column = column
        self.target = to_arrow(column.data_type)
        self.count = count
        self.nulls = nulls
        self.valid = valid
        self.classes = classes
        self.slots = slots
        self.text = text
        rows = modules.rows
        self.has_integers, self.has_reals, self.has_text = (
            bool(seen >> storage & 1) for storage in (rows.INTEGER, rows.REAL, rows.STRING)
        )

    def array(self) -> pa.Array:
        """Return the array of the destination's type. Raises InvalidValue for a value that does not fit exactly."""
        if self.nulls == self.count:
            return pa.nulls(self.count, self.target)
        if self.has_text:
            return self._mixed()
        if pa.types.is_integer(self.target):
            return (
                self._mixed() if self.has_reals else convert_exactly(self._fixed(pa.int64(), self.slots), self.column)
            )
        if pa.types.is_decimal(self.target) and (decimals := self._decimals()) is not None:
            return decimals
        return self._from_doubles()

    def _decimals(self) -> pa.Array | None:
        values = self.modules.numbers.decimals(self.classes, self.slots, self.target.precision, self.target.scale)
        return None if values is None else self._fixed(self.target, values)

    def _from_doubles(self) -> pa.Array:
        # integers that a double could round are converted by their digits
        values = self.modules.numbers.doubles(self.classes, self.slots) if self.has_integers else self.slots
        if values is None:
            return self._mixed()
        doubles = self._fixed(pa.float64(), values)
        if pa.types.is_decimal(self.target) and (decimals := nearest_decimals(doubles, self.target)) is not None:
            return decimals
        return convert_exactly(doubles, self.column)

    def _mixed(self) -> pa.Array:
        """Convert the reals, and everything else by its text."""
        numbers, rows = self.modules.numbers, self.modules.rows
        offsets, text = numbers.texts(self.classes, self.slots, self.text)
        valid = numbers.validity(self.classes, rows.INTEGER, rows.STRING)
        rest = pa.Array.from_buffers(pa.string(), self.count, [pa.py_buffer(each) for each in (valid, offsets, text)])
        converted = convert_exactly(rest, self.column)
        if not self.has_reals:
            return converted
        valid = numbers.validity(self.classes, rows.REAL, rows.REAL)
        reals = pa.Array.from_buffers(pa.float64(), self.count, [pa.py_buffer(valid), pa.py_buffer(self.slots)])
        return pc.coalesce(converted, convert_exactly(reals, self.column))

    def _fixed(self, kind: pa.DataType, values: Any) -> pa.Array:
        buffers = [self.valid and pa.py_buffer(self.valid), pa.py_buffer(values)]
        return pa.Array.from_buffers(kind, self.count, buffers, null_count=self.nulls)
