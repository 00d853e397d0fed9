"""Appends a value in PostgreSQL's binary format, or a NULL, to the Arrow buffers of its column."""

# how the values of a column are decoded
cdef enum Kind:
    TEXT, UUID, BOOLEAN, INT16, INT32, INT64, OID, DATE, TIMESTAMP, DECIMAL128, DECIMAL64

# the kind, the bytes of a value in the data (0 if they differ) and in Arrow's buffer (of texts those of an offset)
KINDS = {
    "text": (TEXT, 0, 4),
    "uuid": (UUID, 16, 4),
    "boolean": (BOOLEAN, 1, 1),
    "int16": (INT16, 2, 2),
    "int32": (INT32, 4, 4),
    "int64": (INT64, 8, 8),
    "oid": (OID, 4, 8),
    "date": (DATE, 4, 4),
    "timestamp": (TIMESTAMP, 8, 8),
    "decimal128": (DECIMAL128, 0, 16),
    "decimal64": (DECIMAL64, 0, 8),
}

cdef struct Column:
    Kind kind
    int length
    int width
    int precision
    int scale
    # NULL as long as all values are valid
    unsigned char* validity
    unsigned char* values
    unsigned char* data
    int64_t data_capacity

# characters of a UUID as text
cdef enum:
    UUID_LENGTH = 36
# from 1970 to PostgreSQL's epoch, 2000-01-01
cdef int64_t EPOCH_DAYS = 10_957
cdef int64_t EPOCH_MICROS = 946_684_800_000_000
cdef const char* HEX = b"0123456789abcdef"


cdef inline void write_uuid(const unsigned char* value, unsigned char* text) noexcept nogil:
    cdef int position
    for position in range(16):
        if position in (4, 6, 8, 10):
            text[0] = c"-"
            text += 1
        text[0] = HEX[value[position] >> 4]
        text[1] = HEX[value[position] & 15]
        text += 2


cdef inline Result append(Column* column, int64_t row, const unsigned char* value, int32_t length) noexcept nogil:
    """Write the value of a row, over one that an incomplete row may have left there."""
    cdef int64_t number
    cdef int32_t start
    cdef uint128 unscaled = 0
    cdef Result result
    if column.length and length != column.length:
        return DAMAGED
    if column.kind == TEXT:
        start = (<int32_t*>column.values)[row]
        if length > column.data_capacity - start:
            return NO_SPACE
        memcpy(column.data + start, value, length)
        (<int32_t*>column.values)[row + 1] = start + length
    elif column.kind == INT64:
        (<uint64_t*>column.values)[row] = u64(value)
    elif column.kind == INT32:
        (<uint32_t*>column.values)[row] = u32(value)
    elif column.kind == INT16:
        (<uint16_t*>column.values)[row] = u16(value)
    elif column.kind == DECIMAL128 or column.kind == DECIMAL64:
        result = read_numeric(value, length, column.precision, column.scale, &unscaled)
        if result != APPENDED:
            return result
        if column.kind == DECIMAL64:
            (<uint64_t*>column.values)[row] = <uint64_t>unscaled
        else:
            (<uint128*>column.values)[row] = unscaled
    elif column.kind == DATE:
        number = <int32_t>u32(value)
        # the largest and the smallest integer are infinite
        if number == INT32_MAX or number == -<int64_t>INT32_MAX - 1:
            number = INT32_MAX if number > 0 else -INT32_MAX
        else:
            number += EPOCH_DAYS
            if number >= INT32_MAX:
                return DAMAGED
        (<int32_t*>column.values)[row] = <int32_t>number
    elif column.kind == TIMESTAMP:
        number = <int64_t>u64(value)
        if number == INT64_MAX or number == INT64_MIN:
            number = INT64_MAX if number > 0 else -INT64_MAX
        elif number >= INT64_MAX - EPOCH_MICROS:
            return UNREPRESENTABLE
        else:
            number += EPOCH_MICROS
        (<int64_t*>column.values)[row] = number
    elif column.kind == BOOLEAN:
        if value[0]:
            column.values[row >> 3] |= 1 << (row & 7)
        else:
            column.values[row >> 3] &= ~(1 << (row & 7))
    elif column.kind == OID:
        (<int64_t*>column.values)[row] = u32(value)
    else:
        start = (<int32_t*>column.values)[row]
        if UUID_LENGTH > column.data_capacity - start:
            return NO_SPACE
        write_uuid(value, column.data + start)
        (<int32_t*>column.values)[row + 1] = start + UUID_LENGTH
    return APPENDED


cdef inline void append_null(Column* column, int64_t row) noexcept nogil:
    column.validity[row >> 3] &= ~(1 << (row & 7))
    if column.kind == TEXT or column.kind == UUID:
        (<int32_t*>column.values)[row + 1] = (<int32_t*>column.values)[row]
    elif column.kind != BOOLEAN:
        memset(column.values + row * column.width, 0, column.width)
