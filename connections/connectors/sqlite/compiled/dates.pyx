# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Parses columns of dates and timestamps that are texts of the usual form, such as 2020-02-29 12:30:00.5."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t

cdef extern from *:
    const char* PIPEKIT_SOURCE

SOURCE = PIPEKIT_SOURCE.decode()

# sizes of 2020-02-29 and 2020-02-29 12:30:00
cdef enum: _DATE = 10, _SECONDS = 19
cdef int64_t _DAY = 86_400_000_000


def dates(bytes offsets, bytes text, bytes valid=None):
    """Return the values of a date32; None if a text is anything but YYYY-MM-DD, an existing day since year 1."""
    cdef Py_ssize_t rows = len(offsets) // 4 - 1, i
    cdef const int32_t* ends = <const int32_t*> PyBytes_AS_STRING(offsets)
    cdef const char* source = text
    cdef const unsigned char* bits = valid if valid is not None else b""
    cdef bint has_nulls = valid is not None, usual = _fits(offsets, text, valid)
    cdef int32_t days
    if not usual:
        return None
    result = PyBytes_FromStringAndSize(NULL, 4 * rows)
    cdef int32_t* target = <int32_t*> PyBytes_AS_STRING(result)
    with nogil:
        for i in range(rows):
            days = 0
            if not has_nulls or bits[i >> 3] >> (i & 7) & 1:
                if ends[i + 1] - ends[i] != _DATE or not _day(source + ends[i], &days):
                    usual = False
                    break
            target[i] = days
    return result if usual else None


def timestamps(bytes offsets, bytes text, bytes valid=None):
    """Return the microseconds of timestamps; None if a text is anything but a date and a time without zone.

    The time is HH:MM:SS, after a blank or T, with up to six digits of a fraction.
    """
    cdef Py_ssize_t rows = len(offsets) // 4 - 1, i
    cdef const int32_t* ends = <const int32_t*> PyBytes_AS_STRING(offsets)
    cdef const char* source = text
    cdef const unsigned char* bits = valid if valid is not None else b""
    cdef bint has_nulls = valid is not None, usual = _fits(offsets, text, valid)
    cdef int32_t days
    cdef int64_t time
    if not usual:
        return None
    result = PyBytes_FromStringAndSize(NULL, 8 * rows)
    cdef int64_t* target = <int64_t*> PyBytes_AS_STRING(result)
    with nogil:
        for i in range(rows):
            days, time = 0, 0
            if not has_nulls or bits[i >> 3] >> (i & 7) & 1:
                if ends[i + 1] - ends[i] < _SECONDS or not _day(source + ends[i], &days):
                    usual = False
                    break
                if not _time(source + ends[i] + _DATE, ends[i + 1] - ends[i] - _DATE, &time):
                    usual = False
                    break
            target[i] = days * _DAY + time
    return result if usual else None


cdef bint _fits(bytes offsets, bytes text, bytes valid):
    """Return whether every text is inside of its buffer."""
    cdef Py_ssize_t rows = len(offsets) // 4 - 1, i
    cdef const int32_t* ends = <const int32_t*> PyBytes_AS_STRING(offsets)
    if rows < 0 or ends[0] < 0 or ends[rows] > len(text) or (valid is not None and 8 * len(valid) < rows):
        return False
    for i in range(rows):
        if ends[i] > ends[i + 1]:
            return False
    return True


cdef int _two(const char* digits) noexcept nogil:
    """Return the number of two digits, something above 99 if they are none."""
    cdef unsigned int first = <unsigned char> digits[0] - 48, second = <unsigned char> digits[1] - 48
    return 10 * first + second if first <= 9 and second <= 9 else 100


cdef bint _day(const char* text, int32_t* days) noexcept nogil:
    """Set the days since 1970 of a date of ten characters; return whether it is one."""
    cdef int century = _two(text), rest = _two(text + 2), month = _two(text + 5), day = _two(text + 8)
    cdef int year = 100 * century + rest, length = 31
    if century > 99 or rest > 99 or text[4] != b"-" or text[7] != b"-" or year == 0:
        return False
    if month == 2:
        length = 29 if rest % 4 == 0 and (rest != 0 or century % 4 == 0) else 28
    elif month == 4 or month == 6 or month == 9 or month == 11:
        length = 30
    if not 1 <= month <= 12 or not 1 <= day <= length:
        return False
    # with years that begin in March, the leap day is the last one; there are 146097 days in 400 years
    if month <= 2:
        year -= 1
        month += 12
    days[0] = 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469
    return True


cdef bint _time(const char* text, int size, int64_t* microseconds) noexcept nogil:
    """Set the microseconds of a separator and a time of day; return whether it is one."""
    cdef int hour = _two(text + 1), minute = _two(text + 4), second = _two(text + 7), i, unit = 100_000
    cdef unsigned int digit
    cdef int64_t fraction = 0
    if (text[0] != b" " and text[0] != b"T") or text[3] != b":" or text[6] != b":":
        return False
    if hour > 23 or minute > 59 or second > 59:
        return False
    # a separator and eight characters, then a point and at least one digit
    if size > 9:
        if text[9] != b"." or not 11 <= size <= 16:
            return False
        for i in range(10, size):
            digit = <unsigned char> text[i] - 48
            if digit > 9:
                return False
            fraction += digit * unit
            unit //= 10
    microseconds[0] = ((hour * 60 + minute) * 60 + second) * <int64_t> 1_000_000 + fraction
    return True
