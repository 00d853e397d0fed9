# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Binds the values of Arrow arrays to an INSERT and executes it for each row, whole batches without the GIL."""

from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from connections.connectors.sqlite.compiled.connection import SqliteError

cdef extern from *:
    const char* PIPEKIT_SOURCE

SOURCE = PIPEKIT_SOURCE.decode()

# types of the arrays: of 64 bits, decimal128, date32, timestamp in microseconds without and with zone
INTEGERS, DOUBLES, TEXTS, BLOBS, DECIMALS, DATES, TIMESTAMPS, ZONED_TIMESTAMPS = range(8)
cdef enum:
    _INTEGERS = 0
    _DOUBLES = 1
    _TEXTS = 2
    _BLOBS = 3
    _DECIMALS = 4
    _DATES = 5
    _TIMESTAMPS = 6
    _ZONED_TIMESTAMPS = 7
# result codes of SQLite, and one of this module
cdef enum: _OK = 0, _DONE = 101, _OUTSIDE = -1
# the destructor SQLITE_STATIC: the values stay where they are until the next ones are bound
cdef enum: _STATIC = 0

# functions of https://www.sqlite.org/c3ref/funclist.html, and their positions in the table, see connection.pyx
ctypedef int (*prepare_type)(void*, const char*, int, void**, const char**) noexcept nogil
ctypedef int (*statement_type)(void*) noexcept nogil
ctypedef int (*bind_null_type)(void*, int) noexcept nogil
ctypedef int (*bind_int64_type)(void*, int, int64_t) noexcept nogil
ctypedef int (*bind_double_type)(void*, int, double) noexcept nogil
ctypedef int (*bind_bytes_type)(void*, int, const char*, int, void*) noexcept nogil
cdef enum:
    _BIND_BLOB = 2
    _BIND_DOUBLE = 3
    _BIND_INT64 = 5
    _BIND_NULL = 6
    _BIND_PARAMETER_COUNT = 7
    _BIND_TEXT = 10
    _FINALIZE = 57
    _RESET = 77
    _STEP = 94
    _PREPARE_V2 = 116
    _CLEAR_BINDINGS = 118


# days since 1970 of 0001-01-01 and 9999-12-31
cdef int64_t _FIRST_DAY = -719_162, _LAST_DAY = 2_932_896, _DAY = 86_400_000_000, _HOUR = 3_600_000_000


cdef struct Field:
    int kind
    # 10 ** scale of decimals
    double factor
    # the text of a date or timestamp: 9999-12-31 23:59:59.999999+00:00
    char shown[32]
    # of the first value
    int64_t offset
    # NULL if no value is NULL
    const unsigned char* valid
    const char* values
    int64_t size
    # of texts and blobs
    const int32_t* ends


cdef class Insert:
    """A prepared INSERT on a `Connection`, which is open for as long as this is used."""

    cdef object connection
    cdef void* statement
    cdef void** functions
    cdef Field* fields
    cdef int width

    def __cinit__(self, connection, size_t functions, str sql, int width):
        cdef size_t database = connection.address
        encoded = sql.encode()
        self.connection = connection
        self.functions = <void**> functions
        self.width = width
        self.fields = <Field*> calloc(width, sizeof(Field))
        if self.fields == NULL:
            raise MemoryError
        if not database:
            raise SqliteError(connection.message())
        if (<prepare_type> self.functions[_PREPARE_V2])(<void*> database, encoded, -1, &self.statement, NULL) != _OK:
            raise SqliteError(connection.message())
        if (<statement_type> self.functions[_BIND_PARAMETER_COUNT])(self.statement) != width:
            raise SqliteError("the statement has another number of parameters")

    def __dealloc__(self):
        self.close()
        free(self.fields)

    def close(self):
        """Finalize the statement."""
        statement, self.statement = self.statement, NULL
        if statement != NULL:
            (<statement_type> self.functions[_FINALIZE])(statement)

    def execute(self, int64_t rows, columns):
        """Execute the statement for each row.

        Each column is a type, a scale and the offset and the buffers of an Arrow array: the validity bitmap or None,
        the ends of texts and blobs, and the values; `is_bindable` for decimals, dates and timestamps. Raises SqliteError; the rows before the one that failed are inserted.
        """
        cdef int i, code
        if self.statement == NULL or len(columns) != self.width:
            raise SqliteError("the statement is closed or has another number of parameters")
        for i in range(self.width):
            kind, scale, offset, buffers = columns[i]
            _set(&self.fields[i], rows, kind, offset, buffers)
            self.fields[i].factor = 10.0 ** scale
        with nogil:
            code = self._execute(rows)
        message = self.connection.message()
        (<statement_type> self.functions[_RESET])(self.statement)
        (<statement_type> self.functions[_CLEAR_BINDINGS])(self.statement)
        if code == _OUTSIDE:
            raise ValueError("a text or blob is outside of its buffer")
        if code != _OK:
            raise SqliteError(message)

    cdef int _execute(self, int64_t rows) noexcept nogil:
        cdef statement_type step = <statement_type> self.functions[_STEP]
        cdef statement_type reset = <statement_type> self.functions[_RESET]
        cdef bind_null_type bind_null = <bind_null_type> self.functions[_BIND_NULL]
        cdef bind_int64_type bind_int64 = <bind_int64_type> self.functions[_BIND_INT64]
        cdef bind_double_type bind_double = <bind_double_type> self.functions[_BIND_DOUBLE]
        cdef bind_bytes_type bind_text = <bind_bytes_type> self.functions[_BIND_TEXT]
        cdef bind_bytes_type bind_blob = <bind_bytes_type> self.functions[_BIND_BLOB]
        cdef int64_t row, position, start, end, whole
        cdef int i, code, length
        cdef Field* field
        for row in range(rows):
            for i in range(self.width):
                field = &self.fields[i]
                position = field.offset + row
                if field.valid != NULL and not field.valid[position >> 3] >> (position & 7) & 1:
                    code = bind_null(self.statement, i + 1)
                elif field.kind == _INTEGERS:
                    code = bind_int64(self.statement, i + 1, (<const int64_t*> field.values)[position])
                elif field.kind == _DOUBLES:
                    code = bind_double(self.statement, i + 1, (<const double*> field.values)[position])
                elif field.kind == _DECIMALS:
                    # of 128 bits the first 64, little-endian
                    whole = (<const int64_t*> field.values)[2 * position]
                    if field.factor == 1:
                        code = bind_int64(self.statement, i + 1, whole)
                    else:
                        # the quotient of two exact doubles is the double nearest to the decimal
                        code = bind_double(self.statement, i + 1, whole / field.factor)
                elif field.kind >= _DATES:
                    length = _show(field, position)
                    code = bind_text(self.statement, i + 1, field.shown, length, <void*> _STATIC)
                else:
                    start, end = field.ends[position], field.ends[position + 1]
                    if not 0 <= start <= end <= field.size:
                        return _OUTSIDE
                    code = (bind_text if field.kind == _TEXTS else bind_blob)(
                        self.statement, i + 1, field.values + start, <int> (end - start), <void*> _STATIC
                    )
                if code != _OK:
                    return code
            code = step(self.statement)
            if code != _DONE:
                return code
            code = reset(self.statement)
            if code != _OK:
                return code
        return _OK


def is_bindable(int kind, int64_t offset, int64_t rows, buffers, int64_t limit):
    """Return whether decimals are less than ``limit`` units of their scale, or dates in the years 1 to 9999."""
    cdef Field field
    cdef int64_t row, position, first = 1 - limit, last = limit - 1, value
    cdef bint bindable = True
    _set(&field, rows, kind, offset, buffers)
    if kind != _DECIMALS:
        unit = 1 if kind == _DATES else _DAY
        first, last = _FIRST_DAY * unit, (_LAST_DAY + 1) * unit - 1
    with nogil:
        for row in range(rows):
            position = offset + row
            if field.valid != NULL and not field.valid[position >> 3] >> (position & 7) & 1:
                continue
            if kind == _DATES:
                value = (<const int32_t*> field.values)[position]
            elif kind == _DECIMALS:
                value = (<const int64_t*> field.values)[2 * position]
                # the other 64 bits repeat its sign
                if (<const int64_t*> field.values)[2 * position + 1] != (-1 if value < 0 else 0):
                    bindable = False
                    break
            else:
                value = (<const int64_t*> field.values)[position]
            if not first <= value <= last:
                bindable = False
                break
    return bindable


cdef _set(Field* field, int64_t rows, int kind, int64_t offset, buffers):
    """Take over the addresses of the buffers, after checking that they are large enough."""
    cdef int64_t end = offset + rows
    is_bytes = kind == _TEXTS or kind == _BLOBS
    valid, values = buffers[0], buffers[2 if is_bytes else 1]
    field.kind, field.offset = kind, offset
    field.valid, field.values, field.size, field.ends = NULL, b"", 0, NULL
    if offset < 0 or rows < 0:
        raise ValueError("a negative number of rows")
    if valid is not None:
        if valid.size * 8 < end:
            raise ValueError("a validity bitmap is too short")
        field.valid = <const unsigned char*> <uintptr_t> valid.address
    if values is not None and values.size:
        field.values, field.size = <const char*> <uintptr_t> values.address, values.size
    if is_bytes:
        if rows and buffers[1].size < 4 * (end + 1):
            raise ValueError("a buffer of offsets is too short")
        field.ends = <const int32_t*> <uintptr_t> buffers[1].address
    elif field.size < end * (16 if kind == _DECIMALS else 4 if kind == _DATES else 8):
        raise ValueError("a buffer of values is too short")


cdef int _show(Field* field, int64_t position) noexcept nogil:
    """Write a date or timestamp as ISO text, as `iso_text` does, and return its size."""
    cdef int64_t count, time = 0
    cdef char* text = field.shown
    cdef int days, era, day, year, month, size = 19, unit = 100_000
    if field.kind == _DATES:
        days = (<const int32_t*> field.values)[position]
    else:
        count = (<const int64_t*> field.values)[position]
        time = count % _DAY
        if time < 0:
            time += _DAY
        days = <int> ((count - time) // _DAY)
    # count from 0000-03-01, so that a leap day is the last day of its year; there are 146097 days in 400 years
    days += 719_468
    era = days // 146_097
    day = days % 146_097
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5 - 1
    year += era * 400 + (month > 9)
    month = month + 3 if month < 10 else month - 9
    _digits(text, year // 100)
    _digits(text + 2, year % 100)
    _digits(text + 5, month)
    _digits(text + 8, day)
    text[4] = text[7] = b"-"
    if field.kind == _DATES:
        return 10
    _digits(text + 11, <int> (time // _HOUR))
    _digits(text + 14, <int> (time // 60_000_000 % 60))
    _digits(text + 17, <int> (time // 1_000_000 % 60))
    text[10] = b" "
    text[13] = text[16] = b":"
    time %= 1_000_000
    if time:
        text[size] = b"."
        size += 1
        while time:
            text[size] = 48 + time // unit
            size += 1
            time %= unit
            unit //= 10
    if field.kind == _ZONED_TIMESTAMPS:
        memcpy(text + size, b"+00:00", 6)
        size += 6
    return size


cdef void _digits(char* text, unsigned int number) noexcept nogil:
    text[0] = 48 + number // 10
    text[1] = 48 + number % 10
