# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Encodes rows of Arrow arrays for PostgreSQL's COPY FROM (FORMAT binary), without the GIL.

A row is the number of its fields in two bytes, then for each field its length in four bytes, -1 for NULL, and its
value. All integers have their highest byte first.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from libc.stdint cimport INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcpy

cdef extern from *:
    const char* PIPEKIT_SOURCE
    # Cython does not know the type; it only has to know that it is an integer
    ctypedef unsigned long long uint128_t "unsigned __int128"

SOURCE = PIPEKIT_SOURCE.decode()

# PostgreSQL's epoch is 2000-01-01
cdef int32_t EPOCH_DAYS = 10_957
cdef int64_t EPOCH_MICROS = 946_684_800_000_000

cdef enum:
    BOOL, TWO_BYTES, FOUR_BYTES, EIGHT_BYTES, NUMERIC, DATE, TIME, TIMESTAMP, TEXT, JSONB, UUID, BYTEA

# by PostgreSQL's type: how values are encoded, and the bits of a value in the array; 0 if it has offsets
_FORMATS = {
    "bool": (BOOL, 1), "int2": (TWO_BYTES, 16), "int4": (FOUR_BYTES, 32), "int8": (EIGHT_BYTES, 64),
    "float4": (FOUR_BYTES, 32), "float8": (EIGHT_BYTES, 64), "numeric": (NUMERIC, 128), "date": (DATE, 32),
    "time": (TIME, 64), "timestamp": (TIMESTAMP, 64), "text": (TEXT, 0), "jsonb": (JSONB, 0), "uuid": (UUID, 0),
    "bytea": (BYTEA, 0),
}

cdef enum:
    # a numeric has four digits in each of its groups; the largest 128-bit integer has 39 digits, which may begin and
    # end within a group
    MAX_GROUPS = 11
    # bytes of the largest value without offsets, with its length
    MAX_SIZE = 4 + 8 + 2 * MAX_GROUPS

cdef enum Result:
    DONE
    # a value that the column does not store, or that is not encoded here
    REFUSED
    # offsets beyond the data
    DAMAGED

cdef struct Field:
    int format
    # the scale of a numeric, the unit of a time in microseconds, the maximum number of characters of a text or 0
    int64_t argument
    # one bit for each value, or NULL if no value is NULL
    const uint8_t* valid
    const uint8_t* values
    # for values of different lengths: where each begins in `values`, and of the ones to encode the end of the latest
    # and of the last one
    const int32_t* offsets
    int64_t latest
    int64_t last
    # the position of the array's first value in these buffers
    int64_t first
    bint may_have_nul


include "encoded_values.pxi"


cdef Result encode_rows(
    Field* fields, int count, int64_t stop, uint8_t** end, int64_t* row, int* column
) noexcept nogil:
    """Write the rows from ``row`` to ``stop`` at ``end``; leave ``row`` and ``column`` where it did not succeed."""
    cdef uint8_t* out = end[0]
    cdef Field* field
    cdef int64_t position
    cdef Result result = DONE
    while row[0] < stop:
        put2(out, <uint16_t>count)
        out += 2
        for column[0] in range(count):
            field = &fields[column[0]]
            position = field.first + row[0]
            if field.valid is not NULL and not (field.valid[position >> 3] >> (position & 7)) & 1:
                put4(out, <uint32_t>-1)
                out += 4
                continue
            result = encode_value(field, position, &out)
            if result != DONE:
                return result
        row[0] += 1
    end[0] = out
    return DONE


cdef class RowEncoder:
    """Encodes arrays of the given formats: names of PostgreSQL's types, each with an argument.

    The argument of ``numeric`` is its scale, that of ``time`` and ``timestamp`` the microseconds of which every value
    must be a multiple, that of ``text`` the maximum number of characters, 0 for any number.
    """

    cdef Field* fields
    cdef int count

    def __cinit__(self, formats):
        # the number of fields is sent in two bytes
        if len(formats) > 0x7fff:
            raise ValueError("more columns than a row can have")
        self.count = len(formats)
        self.fields = <Field*>calloc(self.count + 1, sizeof(Field))
        if self.fields is NULL:
            raise MemoryError

    def __init__(self, formats):
        for i, (name, argument) in enumerate(formats):
            self.fields[i].format = _FORMATS[name][0]
            self.fields[i].argument = argument
        self._bits = [_FORMATS[name][1] for name, _ in formats]

    cdef object _bits

    def __dealloc__(self):
        free(self.fields)

    def encode(self, arrays, int64_t start, int64_t stop):
        """Return the bytes of some rows; None if any has a value that must be refused or is not supported."""
        if len(arrays) != self.count or start < 0 or stop < start:
            raise ValueError("the arrays are not those of the formats")
        # keeps the buffers in memory
        buffers = [array.buffers() for array in arrays]
        limit = (stop - start) * (2 + MAX_SIZE * self.count)
        for i, array in enumerate(arrays):
            if stop > len(array):
                raise ValueError(f"column {i} has fewer than {stop} rows")
            limit += self._set(&self.fields[i], self._bits[i], array.offset, buffers[i], start, stop, i)
        encoded = PyByteArray_FromStringAndSize(NULL, limit)
        cdef uint8_t* target = <uint8_t*>PyByteArray_AS_STRING(encoded)
        cdef uint8_t* end = target
        cdef int64_t row = start
        cdef int column = 0
        cdef Result result
        with nogil:
            result = encode_rows(self.fields, self.count, stop, &end, &row, &column)
        if result == DAMAGED:
            raise ValueError(f"row {row} of column {column} is damaged: the offset is not within the data")
        if result == REFUSED:
            return None
        # not resized: memory that is freed as it was allocated is used again without the kernel
        return memoryview(encoded)[: end - target]

    cdef _set(self, Field* field, bits, first, buffers, int64_t start, int64_t stop, column):
        """Set the buffers of an array; return the bytes of its values that `MAX_SIZE` does not include."""
        sizes = [0 if buffer is None else buffer.size for buffer in buffers]
        # of 32-bit offsets there is one more than values
        needed = [-(-(first + stop) // 8), -(-(first + stop) * bits // 8) if bits else 4 * (first + stop + 1)]
        if (buffers[0] is not None and sizes[0] < needed[0]) or (stop > start and sizes[1] < needed[1]):
            raise ValueError(f"the buffers of column {column} are too short")
        addresses = [0 if buffer is None else buffer.address for buffer in buffers]
        field.first = first
        field.valid = <const uint8_t*><uintptr_t>addresses[0]
        if bits:
            field.values = <const uint8_t*><uintptr_t>addresses[1]
            return 0
        field.offsets = <const int32_t*><uintptr_t>addresses[1]
        field.values = <const uint8_t*><uintptr_t>addresses[2]
        if stop == start:
            return 0
        cdef int64_t begin = field.offsets[field.first + start], end = field.offsets[field.first + stop]
        if begin < 0 or end < begin or end > sizes[2]:
            raise ValueError(f"the offsets of column {column} are beyond its data")
        # one search is faster than one for each value, but may find what is behind a NULL
        field.may_have_nul = memchr(field.values + begin, 0, end - begin) is not NULL
        field.latest, field.last = begin, end
        return end - begin
