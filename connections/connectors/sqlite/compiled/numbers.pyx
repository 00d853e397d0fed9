# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Makes the values of Arrow arrays from numbers that `rows` has read, each in its own storage class.

``classes`` has the storage class of each value, ``slots`` an integer or a double of eight bytes, and of a text where it
begins in ``text``, shifted by 32 bits, and its size. The slot of a NULL is 0.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.math cimport fabs, rint
from libc.stdint cimport int32_t, int64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy, memset

cdef extern from *:
    const char* PIPEKIT_SOURCE
    ctypedef long long int128 "__int128"

SOURCE = PIPEKIT_SOURCE.decode()

# of SQLite, see rows.pyx
cdef enum: _INTEGER = 1, _REAL = 2, _TEXT = 3, _NULL = 5
# the largest power of ten that is a double, and digits of a decimal128
cdef enum: _EXACT_POWER = 22, _MOST_DIGITS = 38
# longer than the text of any 64-bit integer
cdef enum: _TEXT_SIZE = 24
# the largest double up to which every integer is one; half a unit of the fifteenth digit
cdef double _EXACT_INTEGER = 9007199254740992.0, _FIFTEEN_DIGITS = 1e15, _NOISE = 0.5 / 1e15

cdef union Slot:
    int64_t whole
    double real


def decimals(bytes classes, bytes slots, int precision, int scale):
    """Return integers and doubles as the values of a decimal128; None if one is a text or is not exact.

    The rule for doubles is that of `decimal_from_double`: they equal a decimal of this scale, or its fifteen digits.
    """
    cdef Py_ssize_t rows = len(classes), i
    cdef const unsigned char* storage = classes
    cdef const Slot* slot = <const Slot*> PyBytes_AS_STRING(slots)
    cdef int128 power, limit = 1, most = 1, whole
    cdef double factor = 1, scaled, error
    cdef bint exact = True
    if not 0 <= scale <= min(precision, _EXACT_POWER) or precision > _MOST_DIGITS or len(slots) != 8 * rows:
        return None
    for _ in range(precision - scale):
        limit *= 10
    for _ in range(scale):
        factor *= 10
    for _ in range(precision):
        most *= 10
    power = <int128> factor
    result = PyBytes_FromStringAndSize(NULL, 16 * rows)
    cdef char* target = PyBytes_AS_STRING(result)
    with nogil:
        for i in range(rows):
            if storage[i] == _REAL:
                scaled = rint(slot[i].real * factor)
                error = fabs(slot[i].real - scaled / factor)
                if error != 0 and not (fabs(scaled) < _FIFTEEN_DIGITS and error <= fabs(slot[i].real) * _NOISE):
                    exact = False
                    break
                # not for infinity either
                if not fabs(scaled) < _EXACT_INTEGER:
                    exact = False
                    break
                whole = <int64_t> scaled
                if whole >= most or whole <= -most:
                    exact = False
                    break
            elif storage[i] == _TEXT:
                exact = False
                break
            else:
                whole = slot[i].whole
                if whole >= limit or whole <= -limit:
                    exact = False
                    break
                whole *= power
            memcpy(target + 16 * i, &whole, 16)
    return result if exact else None


def doubles(bytes classes, bytes slots):
    """Return integers and doubles as doubles; None if one is a text, or so large that an integer could lose digits."""
    cdef Py_ssize_t rows = len(classes), i
    cdef const unsigned char* storage = classes
    cdef const Slot* slot = <const Slot*> PyBytes_AS_STRING(slots)
    cdef bint exact = len(slots) == 8 * rows
    cdef double value
    result = PyBytes_FromStringAndSize(NULL, 8 * rows)
    cdef char* target = PyBytes_AS_STRING(result)
    if exact:
        with nogil:
            for i in range(rows):
                value = slot[i].real if storage[i] == _REAL else <double> slot[i].whole
                if storage[i] == _TEXT or not fabs(value) < _EXACT_INTEGER:
                    exact = False
                    break
                memcpy(target + 8 * i, &value, 8)
    return result if exact else None


def validity(bytes classes, int first, int second):
    """Return the validity bitmap of the values of two storage classes; all others are NULL."""
    cdef Py_ssize_t rows = len(classes), i
    cdef const unsigned char* storage = classes
    result = PyBytes_FromStringAndSize(NULL, (rows + 7) // 8)
    cdef unsigned char* target = <unsigned char*> PyBytes_AS_STRING(result)
    with nogil:
        memset(target, 0, (rows + 7) // 8)
        for i in range(rows):
            if storage[i] == first or storage[i] == second:
                target[i >> 3] |= 1 << (i & 7)
    return result


def texts(bytes classes, bytes slots, bytes text):
    """Return texts, and integers as their digits, as the offsets and the data of strings; others are empty."""
    cdef Py_ssize_t rows = len(classes), i, size = len(text)
    cdef const unsigned char* storage = classes
    cdef const Slot* slot = <const Slot*> PyBytes_AS_STRING(slots)
    cdef const char* source = text
    cdef int64_t end = 0, start, length
    cdef bint inside = len(slots) == 8 * rows
    cdef int64_t numbers = classes.count(_INTEGER)
    if size + _TEXT_SIZE * numbers > 0x7FFFFFFF:
        raise OverflowError("the numbers of a batch have more than two gigabytes of text")
    offsets = PyBytes_FromStringAndSize(NULL, 4 * (rows + 1))
    data = PyBytes_FromStringAndSize(NULL, size + _TEXT_SIZE * numbers)
    cdef int32_t* ends = <int32_t*> PyBytes_AS_STRING(offsets)
    cdef char* target = PyBytes_AS_STRING(data)
    ends[0] = 0
    if inside:
        with nogil:
            for i in range(rows):
                if storage[i] == _INTEGER:
                    end += snprintf(target + end, _TEXT_SIZE, b"%lld", <long long> slot[i].whole)
                elif storage[i] == _TEXT:
                    start, length = slot[i].whole >> 32, slot[i].whole & 0x7FFFFFFF
                    if start < 0 or start + length > size or end + length > size + _TEXT_SIZE * numbers:
                        inside = False
                        break
                    memcpy(target + end, source + start, length)
                    end += length
                ends[i + 1] = <int32_t> end
    if not inside:
        raise ValueError("a text is outside of its buffer")
    return offsets, data[:end]
