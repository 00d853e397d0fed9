# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Reads the rows of a SQLite query into buffers of columns, whole batches without the GIL.

Each value is read by its own storage class, whatever the declared type of its column. Nothing is converted here but
numbers in columns of text, which SQLite itself shows as text.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport INT32_MAX, int32_t, int64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from connections.connectors.sqlite.compiled.connection import SqliteError

cdef extern from *:
    const char* PIPEKIT_SOURCE

SOURCE = PIPEKIT_SOURCE.decode()

# how the values of a column are read
NUMBER, TEXT, BYTES = 0, 1, 2
# the storage classes of https://www.sqlite.org/c3ref/c_blob.html
INTEGER, REAL, STRING, BLOB, NULL_VALUE = 1, 2, 3, 4, 5
cdef enum: _NUMBER = 0, _TEXT = 1, _BYTES = 2
cdef enum: _INTEGER = 1, _REAL = 2, _STRING = 3, _BLOB = 4, _NULL = 5
# result codes of https://www.sqlite.org/rescode.html, and two of this module
cdef enum: _OK = 0, _NO_MEMORY = 7, _ROW = 100, _DONE = 101, _WRONG_CLASS = -1, _TOO_LARGE = -2

# functions of https://www.sqlite.org/c3ref/funclist.html, and their positions in the table that extensions are given:
# https://www.sqlite.org/src/file/src/sqlite3ext.h, in which functions are only ever added at the end
ctypedef int (*prepare_type)(void*, const char*, int, void**, const char**) noexcept nogil
ctypedef int (*statement_type)(void*) noexcept nogil
ctypedef void* (*column_value_type)(void*, int) noexcept nogil
ctypedef int (*value_int_type)(void*) noexcept nogil
ctypedef int64_t (*value_int64_type)(void*) noexcept nogil
ctypedef double (*value_double_type)(void*) noexcept nogil
ctypedef const char* (*value_text_type)(void*) noexcept nogil
cdef enum:
    _COLUMN_COUNT = 22
    _COLUMN_VALUE = 39
    _FINALIZE = 57
    _STEP = 94
    _VALUE_BLOB = 102
    _VALUE_BYTES = 103
    _VALUE_DOUBLE = 105
    _VALUE_INT64 = 107
    _VALUE_TEXT = 109
    _VALUE_TYPE = 113
    _PREPARE_V2 = 116


cdef union Slot:
    int64_t whole
    double real


cdef struct Field:
    # NUMBER, TEXT or BYTES
    int kind
    # bits of the storage classes in this batch, 1 << class
    int seen
    int64_t nulls
    # a bit for each value that is not NULL
    unsigned char* valid
    # of a NUMBER: the class of each value, and the value; of a text its first byte << 32 | its size
    unsigned char* classes
    Slot* slots
    # of other kinds: where each value ends
    int32_t* offsets
    char* text
    int64_t size
    int64_t capacity


cdef class Rows:
    """The rows of one query on a `Connection`, which is used for nothing else meanwhile."""

    cdef object connection
    cdef void* statement
    cdef void** functions
    cdef Field* fields
    cdef int width
    cdef int64_t max_rows
    cdef int wrong
    cdef bint done

    def __cinit__(self, connection, size_t functions, str sql, kinds, int64_t max_rows):
        """``kinds`` has NUMBER, TEXT or BYTES for each column of the result; ``functions`` is the table's address."""
        cdef size_t database = connection.address
        cdef int code, i
        encoded = sql.encode()
        cdef const char* text = encoded
        self.connection = connection
        self.functions = <void**> functions
        self.max_rows = max_rows
        self.width = len(kinds)
        self.fields = <Field*> calloc(self.width, sizeof(Field))
        if self.fields == NULL:
            raise MemoryError
        if not database:
            raise SqliteError(connection.message())
        for i in range(self.width):
            self.fields[i].kind = kinds[i]
            _allocate(&self.fields[i], max_rows)
        with nogil:
            code = (<prepare_type> self.functions[_PREPARE_V2])(<void*> database, text, -1, &self.statement, NULL)
        if code != _OK:
            raise SqliteError(connection.message())
        if (<statement_type> self.functions[_COLUMN_COUNT])(self.statement) != self.width:
            raise SqliteError("the query returns another number of columns")

    def __dealloc__(self):
        cdef int i
        self.close()
        if self.fields != NULL:
            for i in range(self.width):
                free(self.fields[i].valid)
                free(self.fields[i].classes)
                free(self.fields[i].slots)
                free(self.fields[i].offsets)
                free(self.fields[i].text)
            free(self.fields)

    def close(self):
        """Finalize the statement."""
        statement, self.statement = self.statement, NULL
        if statement != NULL:
            (<statement_type> self.functions[_FINALIZE])(statement)

    def read(self, int64_t max_bytes):
        """Return the next rows, as many as have about ``max_bytes``: their number, and a tuple for each column.

        The number is 0 after the last row. A tuple has the bits of the storage classes, the number of NULLs, the
        validity bitmap, and for a NUMBER the classes, the slots and the text, otherwise the offsets and the text.
        Raises `WrongClass`, and SqliteError.
        """
        cdef int64_t rows = 0
        cdef int code
        if self.done:
            return 0, []
        if self.statement == NULL:
            raise SqliteError("the query is closed")
        with nogil:
            code = self._fill(&rows, max_bytes)
        if code == _WRONG_CLASS:
            raise WrongClass(self.wrong, self._value(self.wrong))
        if code == _TOO_LARGE:
            raise SqliteError("the values of one column in a batch have more than two gigabytes")
        if code == _NO_MEMORY:
            raise MemoryError
        if code == _DONE:
            self.done = True
        elif code != _ROW:
            raise SqliteError(self.connection.message())
        return rows, [_taken(&self.fields[i], rows, 4 * max_bytes) for i in range(self.width)]

    cdef int _fill(self, int64_t* rows, int64_t max_bytes) noexcept nogil:
        cdef statement_type step = <statement_type> self.functions[_STEP]
        cdef column_value_type column_value = <column_value_type> self.functions[_COLUMN_VALUE]
        cdef value_int_type value_type = <value_int_type> self.functions[_VALUE_TYPE]
        cdef value_int_type value_bytes = <value_int_type> self.functions[_VALUE_BYTES]
        cdef value_int64_type value_int64 = <value_int64_type> self.functions[_VALUE_INT64]
        cdef value_double_type value_double = <value_double_type> self.functions[_VALUE_DOUBLE]
        cdef value_text_type value_text = <value_text_type> self.functions[_VALUE_TEXT]
        cdef value_text_type value_blob = <value_text_type> self.functions[_VALUE_BLOB]
        cdef int64_t row = 0, size = 0, length
        cdef int code = _ROW, i, storage
        cdef void* value
        cdef const char* start
        cdef Field* field
        while row < self.max_rows and size < max_bytes:
            code = step(self.statement)
            if code != _ROW:
                break
            for i in range(self.width):
                field = &self.fields[i]
                value = column_value(self.statement, i)
                storage = value_type(value)
                field.seen |= 1 << storage
                size += 8
                if field.kind == _NUMBER:
                    field.classes[row] = storage
                    if storage == _INTEGER:
                        field.slots[row].whole = value_int64(value)
                    elif storage == _REAL:
                        field.slots[row].real = value_double(value)
                    elif storage == _NULL:
                        field.slots[row].whole = 0
                        field.valid[row >> 3] &= ~(1 << (row & 7))
                        field.nulls += 1
                    elif storage == _STRING:
                        start = value_text(value)
                        length = value_bytes(value)
                        field.slots[row].whole = field.size << 32 | length
                        if (code := _append(field, start, length)) != _OK:
                            return code
                        size += length
                    else:
                        self.wrong = i
                        return _WRONG_CLASS
                    continue
                if storage == _NULL:
                    field.valid[row >> 3] &= ~(1 << (row & 7))
                    field.nulls += 1
                else:
                    if (storage == _BLOB) != (field.kind == _BYTES):
                        self.wrong = i
                        return _WRONG_CLASS
                    # the text of a number is made by SQLite; the pointer comes first, since this may move the value
                    start = value_blob(value) if storage == _BLOB else value_text(value)
                    length = value_bytes(value)
                    if (code := _append(field, start, length)) != _OK:
                        return code
                    size += length
                field.offsets[row + 1] = field.size
            row += 1
        rows[0] = row
        return code if code != _OK else _ROW

    cdef _value(self, int position):
        """Return a value of the current row, text that is not valid UTF-8 as bytes."""
        value = (<column_value_type> self.functions[_COLUMN_VALUE])(self.statement, position)
        storage = (<value_int_type> self.functions[_VALUE_TYPE])(value)
        if storage == _INTEGER:
            return (<value_int64_type> self.functions[_VALUE_INT64])(value)
        if storage == _REAL:
            return (<value_double_type> self.functions[_VALUE_DOUBLE])(value)
        text = (<value_text_type> self.functions[_VALUE_TEXT if storage == _STRING else _VALUE_BLOB])(value)
        data = PyBytes_FromStringAndSize(text, (<value_int_type> self.functions[_VALUE_BYTES])(value))
        try:
            return data.decode() if storage == _STRING else data
        except UnicodeDecodeError:
            return data


class WrongClass(Exception):
    """A value is text in a column of bytes, or bytes in any other: ``value`` in the column at ``position``."""

    def __init__(self, position, value):
        super().__init__(position, value)
        self.position = position
        self.value = value


cdef _allocate(Field* field, int64_t rows):
    field.valid = <unsigned char*> realloc(NULL, rows // 8 + 1)
    if field.kind == _NUMBER:
        field.classes = <unsigned char*> realloc(NULL, rows)
        field.slots = <Slot*> realloc(NULL, rows * sizeof(Slot))
    else:
        field.offsets = <int32_t*> calloc(rows + 1, sizeof(int32_t))
    if field.valid == NULL or (field.offsets == NULL and (field.classes == NULL or field.slots == NULL)):
        raise MemoryError
    memset(field.valid, 0xFF, rows // 8 + 1)


cdef int _append(Field* field, const char* start, int64_t length) noexcept nogil:
    cdef int64_t needed = field.size + length
    cdef char* larger
    if needed > INT32_MAX:
        return _TOO_LARGE
    if needed > field.capacity:
        larger = <char*> realloc(field.text, 2 * needed)
        if larger == NULL:
            return _NO_MEMORY
        field.text, field.capacity = larger, 2 * needed
    if length:
        # SQLite returns no pointer when it is out of memory
        if start == NULL:
            return _NO_MEMORY
        memcpy(field.text + field.size, start, length)
    field.size = needed
    return _OK


cdef _taken(Field* field, int64_t rows, int64_t kept):
    """Return the buffers of a column as bytes, and empty them; memory beyond ``kept`` bytes is released."""
    valid = _bytes(field.valid, (rows + 7) // 8) if field.nulls else None
    text = _bytes(field.text, field.size)
    if field.kind == _NUMBER:
        taken = (field.seen, field.nulls, valid, _bytes(field.classes, rows), _bytes(field.slots, 8 * rows), text)
    else:
        taken = (field.seen, field.nulls, valid, _bytes(field.offsets, 4 * (rows + 1)), text)
    if field.nulls:
        memset(field.valid, 0xFF, rows // 8 + 1)
    field.seen = field.nulls = field.size = 0
    if field.capacity > kept:
        free(field.text)
        field.text, field.capacity = NULL, 0
    return taken


cdef _bytes(void* start, Py_ssize_t size):
    return PyBytes_FromStringAndSize(<char*> start, size)
