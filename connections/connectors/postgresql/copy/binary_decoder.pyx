# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Decodes PostgreSQL's binary COPY data in one pass: each value is appended to the Arrow buffers of its column.

A row is the number of its fields in two bytes, and for each field its length in four bytes (-1 for NULL) followed by
the value; all numbers are big-endian. The data ends with the number -1.
"""

from __future__ import annotations

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport INT32_MAX, INT64_MAX, INT64_MIN, int16_t, int32_t, int64_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import pyarrow as pa

cdef extern from *:
    const char* PIPEKIT_SOURCE

SOURCE = PIPEKIT_SOURCE.decode()


class InvalidData(Exception):
    """The bytes are not rows with these fields."""


cdef inline uint16_t u16(const unsigned char* at) noexcept nogil:
    return (<uint16_t>at[0] << 8) | at[1]


cdef inline uint32_t u32(const unsigned char* at) noexcept nogil:
    return (<uint32_t>at[0] << 24) | (<uint32_t>at[1] << 16) | (<uint32_t>at[2] << 8) | at[3]


cdef inline uint64_t u64(const unsigned char* at) noexcept nogil:
    return (<uint64_t>u32(at) << 32) | u32(at + 4)


include "binary_numeric.pxi"
include "binary_values.pxi"


cdef class Decoder:
    """Decodes rows with these fields, into batches that end at ``most_rows`` rows or about ``most_bytes`` bytes of data.

    A field is the name of a kind and, of a decimal, the precision and scale of its Arrow type. ``rows`` are in the batch
    so far. After `decode`, ``is_full`` and ``has_ended`` say why it stopped, and ``needed`` is the least number of bytes
    of which it can decode another row. ``unrepresentable`` has by column the first row with a value that Arrow cannot
    represent, and its bytes.
    """

    cdef Column* columns
    cdef int count
    cdef int64_t capacity, most_rows, most_bytes, bytes, total
    cdef readonly int64_t rows, needed
    cdef readonly bint is_full, has_ended
    cdef readonly dict unrepresentable
    cdef readonly set ascii
    # by column those of validity, values or offsets, and texts
    cdef list buffers

    def __cinit__(self, list fields, int64_t most_rows, int64_t most_bytes):
        self.count, self.most_rows, self.most_bytes = len(fields), most_rows, most_bytes
        self.columns = <Column*>calloc(self.count + 1, sizeof(Column))
        if self.columns is NULL:
            raise MemoryError
        cdef int position
        for position, (name, precision, scale) in enumerate(fields):
            column = &self.columns[position]
            column.kind, column.length, column.width = KINDS[name]
            column.precision, column.scale, column.data_capacity = precision, scale, 16 * 1024
            if not 0 <= precision <= (MAX_SHORT_DIGITS if column.kind == DECIMAL64 else MAX_DIGITS):
                raise ValueError(f"a {name} has no {precision} digits")
        self.capacity = min(most_rows, 1024)
        self._begin()

    def __dealloc__(self):
        free(self.columns)

    def decode(self, data, int64_t start):
        """Append the rows that begin at ``start``, as far as they are complete. Return where the next one begins."""
        cdef Py_buffer view
        cdef int64_t used
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if not 0 <= start <= view.len:
                raise ValueError(start)
            with nogil:
                used = self._decode(<const unsigned char*>view.buf + start, view.len - start)
        finally:
            PyBuffer_Release(&view)
        return start + used

    def take(self):
        """Return for each column its buffers (validity, values or offsets, texts), and begin a new batch.

        ``ascii`` has the columns whose texts are plain ASCII; others could be invalid UTF-8.
        """
        cdef int position
        taken, self.ascii = self.buffers, set()
        for position, (validity, values, data) in enumerate(taken):
            column = &self.columns[position]
            if validity is not None:
                validity.resize((self.rows + 7) // 8, shrink_to_fit=False)
            if data is not None:
                size = (<int32_t*>column.values)[self.rows]
                if _is_ascii(column.data, size):
                    self.ascii.add(position)
                data.resize(size, shrink_to_fit=False)
                # the next batch is probably of about the same size
                column.data_capacity = min(size + size // 8 + 1024, <int64_t>INT32_MAX)
            values.resize(_size(column, self.rows), shrink_to_fit=False)
        self.capacity = min(self.most_rows, self.rows + self.rows // 8 + 64)
        self.total += self.rows
        self._begin()
        return taken

    cdef _begin(self):
        cdef int position
        self.rows = self.bytes = 0
        self.is_full, self.unrepresentable, self.buffers = False, {}, []
        for position in range(self.count):
            column = &self.columns[position]
            values, data = pa.allocate_buffer(_size(column, self.capacity), resizable=True), None
            column.validity, column.values, column.data = NULL, _address(values), NULL
            if column.kind == TEXT or column.kind == UUID:
                data = pa.allocate_buffer(column.data_capacity, resizable=True)
                column.data = _address(data)
                (<int32_t*>column.values)[0] = 0
            self.buffers.append([None, values, data])

    cdef int64_t _decode(self, const unsigned char* data, int64_t size) except -1 nogil:
        cdef int64_t at = 0, position
        cdef int32_t length
        cdef int field
        cdef Result result
        while self.rows < self.most_rows and self.bytes < self.most_bytes:
            position, self.needed = at + 2, 2
            if size < position:
                return at
            if u16(data + at) == 0xFFFF:
                self.has_ended = True
                return position
            if u16(data + at) != self.count:
                self._refuse(u16(data + at))
            if self.rows == self.capacity:
                self._add_rows()
            for field in range(self.count):
                self.needed = position + 4 - at
                if size - position < 4:
                    return at
                length = <int32_t>u32(data + position)
                position += 4
                if length == -1:
                    if self.columns[field].validity is NULL:
                        self._add_validity(field)
                    append_null(&self.columns[field], self.rows)
                    continue
                if length < 0:
                    self._refuse_value(field, length)
                self.needed += length
                if length > size - position:
                    return at
                result = append(&self.columns[field], self.rows, data + position, length)
                if result != APPENDED and not self._solve(result, field, data + position, length):
                    break
                position += length
            else:
                self.rows += 1
                self.bytes += position - at
                at = position
                continue
            break
        self.is_full = True
        return at

    cdef int _add_rows(self) except -1 with gil:
        """Make the buffers larger, so that they hold more rows."""
        cdef int position
        self.capacity = min(self.most_rows, 2 * self.capacity)
        for position, (validity, values, _) in enumerate(self.buffers):
            column = &self.columns[position]
            values.resize(_size(column, self.capacity))
            column.values = _address(values)
            if validity is not None:
                size = validity.size
                validity.resize((self.capacity + 7) // 8)
                column.validity = _address(validity)
                memset(column.validity + <int64_t>size, 0xFF, validity.size - size)
        return 0

    cdef int _add_validity(self, int field) except -1 with gil:
        """Add the bits of a column that has its first NULL."""
        validity = pa.allocate_buffer((self.capacity + 7) // 8, resizable=True)
        self.buffers[field][0] = validity
        self.columns[field].validity = _address(validity)
        memset(self.columns[field].validity, 0xFF, validity.size)
        return 0

    cdef bint _solve(self, Result result, int field, const unsigned char* value, int32_t length) except -1 with gil:
        """Do what `append` could not do. Return False if the value fits into the next batch only."""
        column = &self.columns[field]
        if result == DAMAGED:
            self._refuse_value(field, length)
        if result == UNREPRESENTABLE:
            memset(column.values + self.rows * column.width, 0, column.width)
            self.unrepresentable.setdefault(field, (self.rows, value[:length]))
            return True
        cdef int64_t needed = <int64_t>(<int32_t*>column.values)[self.rows] + max(length, UUID_LENGTH)
        if needed > INT32_MAX:
            if self.rows == 0:
                self._refuse_value(field, length)
            return False
        data = self.buffers[field][2]
        cdef int64_t capacity = min(max(needed, 2 * column.data_capacity), <int64_t>INT32_MAX)
        data.resize(capacity)
        column.data_capacity = capacity
        column.data = _address(data)
        append(column, self.rows, value, length)
        return True

    cdef int _refuse(self, int number) except -1 with gil:
        raise InvalidData(
            f"after {self.total + self.rows} rows there is 0x{number:04x} instead of a row with {self.count} fields"
        )

    cdef int _refuse_value(self, int field, int32_t length) except -1 with gil:
        raise InvalidData(
            f"the value of {length} bytes in row {self.total + self.rows + 1}, column {field + 1}, is damaged"
        )


cdef int64_t _size(Column* column, int64_t rows) noexcept:
    """Return the bytes of the values, or offsets, of a column."""
    if column.kind == BOOLEAN:
        return (rows + 7) // 8
    is_text = column.kind == TEXT or column.kind == UUID
    return (rows + is_text) * column.width


cdef bint _is_ascii(const unsigned char* data, int64_t size) noexcept nogil:
    cdef int64_t at
    cdef unsigned char bits = 0
    for at in range(size):
        bits |= data[at]
    return bits < 0x80


cdef unsigned char* _address(buffer):
    return <unsigned char*><uintptr_t>buffer.address
