"""Decodes a numeric in PostgreSQL's binary format to the unscaled integer of an Arrow decimal.

Format: in two bytes each the number of groups, the weight of the first one, the sign and the number of decimals that are
displayed; then the groups of four decimal digits, of which the first has the value group * 10000 ** weight.
"""

cdef extern from *:
    ctypedef unsigned long long uint128 "unsigned __int128"

cdef enum:
    # decimal digits of a group, and those that always fit into 128 and 64 bits
    GROUP = 4
    MAX_DIGITS = 38
    MAX_SHORT_DIGITS = 18

cdef enum Result:
    APPENDED, UNREPRESENTABLE, DAMAGED, NO_SPACE

# 10**0 to 10**38
cdef uint128[MAX_DIGITS + 1] POWERS
cdef int power
POWERS[0] = 1
for power in range(MAX_DIGITS):
    POWERS[power + 1] = POWERS[power] * 10


cdef inline Result read_numeric(
    const unsigned char* value, int32_t length, int precision, int scale, uint128* result
) noexcept nogil:
    """Set the integer whose last digit is the last one of a decimal with this precision and scale."""
    if length < 8 or length != 8 + 2 * <int32_t>u16(value):
        return DAMAGED
    cdef int groups = u16(value), sign = u16(value + 4), group, position, divisor
    cdef int64_t exponent
    cdef uint128 number = 0
    if sign == 0xC000 or sign == 0xD000 or sign == 0xF000:
        # NaN, infinity, negative infinity
        return UNREPRESENTABLE
    if sign != 0 and sign != 0x4000:
        return DAMAGED
    while groups > 0 and u16(value + 6 + 2 * groups) == 0:
        groups -= 1
    # that of the last group, in units of the result
    exponent = (<int64_t>(<int16_t>u16(value + 2)) - groups + 1) * GROUP + scale
    for position in range(groups):
        group = u16(value + 8 + 2 * position)
        if group > 9999:
            return DAMAGED
        if exponent < 0 and position == groups - 1:
            # the group's last digits are beyond the last one of the result, so they must be zeros
            if exponent <= -GROUP or number >= POWERS[MAX_DIGITS - GROUP - exponent]:
                return UNREPRESENTABLE
            divisor = <int>POWERS[-exponent]
            if group % divisor != 0:
                return UNREPRESENTABLE
            number = number * POWERS[GROUP + exponent] + <unsigned int>(group // divisor)
        elif number >= POWERS[MAX_DIGITS - GROUP]:
            return UNREPRESENTABLE
        else:
            number = number * 10000 + <unsigned int>group
    if number != 0:
        exponent = max(exponent, 0)
        if exponent >= precision or number >= POWERS[precision - exponent]:
            return UNREPRESENTABLE
        number *= POWERS[exponent]
    result[0] = -number if sign else number
    return APPENDED
