"""Encodes single values of Arrow arrays in PostgreSQL's binary format. Part of binary_encoder.pyx."""


cdef inline Result encode_value(Field* field, int64_t position, uint8_t** end) noexcept nogil:
    """Write the length and the value at ``end``, and move this behind it."""
    cdef uint8_t* out = end[0]
    cdef uint8_t* value = out + 4
    cdef int format = field.format
    cdef int32_t days
    cdef int64_t micros
    cdef int32_t length = 0
    if format == TEXT or format == BYTEA or format == JSONB or format == UUID:
        return encode_bytes(field, position, end)
    if format == EIGHT_BYTES:
        put8(value, (<const uint64_t*>field.values)[position])
        length = 8
    elif format == FOUR_BYTES:
        put4(value, (<const uint32_t*>field.values)[position])
        length = 4
    elif format == NUMERIC:
        length = put_numeric(value, (<const uint64_t*>field.values) + 2 * position, field.argument)
    elif format == DATE:
        days = (<const int32_t*>field.values)[position]
        # infinity is the largest integer and -infinity its negative; PostgreSQL's -infinity is the smallest integer
        if days == -INT32_MAX:
            days = INT32_MIN
        elif days <= INT32_MIN + EPOCH_DAYS:
            return REFUSED
        elif days != INT32_MAX:
            days -= EPOCH_DAYS
        put4(value, <uint32_t>days)
        length = 4
    elif format == TIMESTAMP or format == TIME:
        micros = (<const int64_t*>field.values)[position]
        if micros % field.argument:
            return REFUSED
        if format == TIMESTAMP:
            if micros == -INT64_MAX:
                micros = INT64_MIN
            elif micros <= INT64_MIN + EPOCH_MICROS:
                return REFUSED
            elif micros != INT64_MAX:
                micros -= EPOCH_MICROS
        put8(value, <uint64_t>micros)
        length = 8
    elif format == BOOL:
        value[0] = (field.values[position >> 3] >> (position & 7)) & 1
        length = 1
    else:
        put2(value, (<const uint16_t*>field.values)[position])
        length = 2
    put4(out, <uint32_t>length)
    end[0] = value + length
    return DONE


cdef inline Result encode_bytes(Field* field, int64_t position, uint8_t** end) noexcept nogil:
    """Write a value that has offsets."""
    cdef uint8_t* out = end[0]
    cdef int32_t start = field.offsets[position], stop = field.offsets[position + 1], length
    cdef const uint8_t* bytes_ = field.values + start
    # no value begins before the end of an earlier one, or there might be more to write than there is space
    if start < field.latest or stop < start or stop > field.last:
        return DAMAGED
    field.latest = stop
    length = stop - start
    if field.format != BYTEA:
        if field.may_have_nul and memchr(bytes_, 0, length) is not NULL:
            return REFUSED
        if field.argument and length > field.argument and characters(bytes_, length) > field.argument:
            return REFUSED
    if field.format == UUID:
        put4(out, 16)
        end[0] = out + 20
        return DONE if put_uuid(out + 4, bytes_, length) else REFUSED
    if field.format == JSONB:
        if length == INT32_MAX:
            return REFUSED
        put4(out, <uint32_t>length + 1)
        # the version of the format
        out[4] = 1
        out += 5
    else:
        put4(out, <uint32_t>length)
        out += 4
    memcpy(out, bytes_, length)
    end[0] = out + length
    return DONE


cdef int32_t put_numeric(uint8_t* out, const uint64_t* unscaled, int64_t scale) noexcept nogil:
    """Write a decimal: the number of groups, the weight of the first one, the sign, the scale, and the groups."""
    cdef uint16_t groups[MAX_GROUPS]
    # groups begin at the decimal point: in the last one, zeros follow the digits within the scale
    cdef int64_t zeros = -scale & 3, weight = -1 - ((scale + zeros) >> 2)
    cdef uint64_t factor = 1000 if zeros == 3 else 100 if zeros == 2 else 10 if zeros == 1 else 1, small
    cdef uint128_t large = (<uint128_t>unscaled[1] << 64) | unscaled[0]
    cdef bint negative = unscaled[1] >> 63
    cdef int32_t first = MAX_GROUPS, last = MAX_GROUPS, i
    if negative:
        large = -large
    if large >> 50:
        # with the zeros, it may have more than 64 bits
        first -= 1
        groups[first] = <uint16_t>(large % (10_000 // factor) * factor)
        large = large // (10_000 // factor)
        while large >> 64:
            first -= 1
            groups[first] = <uint16_t>(large % 10_000)
            large = large // 10_000
        factor = 1
    small = <uint64_t>large * factor
    while small:
        first -= 1
        groups[first] = <uint16_t>(small % 10_000)
        small = small // 10_000
    weight += last - first
    # zeros at both ends are not written
    while last > first and not groups[last - 1]:
        last -= 1
    while first < last and not groups[first]:
        first += 1
        weight -= 1
    if first == last:
        weight = 0
    put2(out, <uint16_t>(last - first))
    put2(out + 2, <uint16_t>weight)
    put2(out + 4, 0x4000 if negative else 0)
    put2(out + 6, <uint16_t>scale if scale > 0 else 0)
    for i in range(first, last):
        put2(out + 8 + 2 * (i - first), groups[i])
    return 8 + 2 * (last - first)


cdef bint put_uuid(uint8_t* out, const uint8_t* text, int32_t length) noexcept nogil:
    """Write the uuid that the text has in hexadecimal digits, with or without hyphens and braces, if it has one."""
    cdef int digits = 0, digit
    cdef int32_t i
    for i in range(length):
        digit = hexadecimal(text[i])
        if digit >= 0:
            if digits == 32:
                return False
            out[digits >> 1] = <uint8_t>(digit << 4 if not digits & 1 else out[digits >> 1] | digit)
            digits += 1
        elif text[i] != c"-" and not (text[i] == c"{" and i == 0) and not (text[i] == c"}" and i == length - 1):
            return False
    return digits == 32


cdef inline int hexadecimal(uint8_t digit) noexcept nogil:
    if c"0" <= digit <= c"9":
        return digit - c"0"
    digit |= 0x20
    if c"a" <= digit <= c"f":
        return digit - c"a" + 10
    return -1


cdef int32_t characters(const uint8_t* text, int32_t length) noexcept nogil:
    """Return the number of characters of a UTF-8 text: of its bytes that do not continue one."""
    cdef int32_t count = 0, i
    for i in range(length):
        count += (text[i] & 0xc0) != 0x80
    return count


cdef inline void put2(uint8_t* out, uint16_t value) noexcept nogil:
    out[0] = <uint8_t>(value >> 8)
    out[1] = <uint8_t>value


cdef inline void put4(uint8_t* out, uint32_t value) noexcept nogil:
    put2(out, <uint16_t>(value >> 16))
    put2(out + 2, <uint16_t>value)


cdef inline void put8(uint8_t* out, uint64_t value) noexcept nogil:
    put4(out, <uint32_t>(value >> 32))
    put4(out + 4, <uint32_t>value)
