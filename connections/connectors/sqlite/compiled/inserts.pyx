# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Binds the values of Arrow arrays to an INSERT and executes it for each row, whole batches without the GIL."""

from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.stdlib cimport calloc, free

from connections.connectors.sqlite.compiled.connection import SqliteError

cdef extern from *:
    const char* PIPEKIT_SOURCE

SOURCE = PIPEKIT_SOURCE.decode()

# types of the arrays
INTEGERS, DOUBLES, TEXTS, BLOBS = 0, 1, 2, 3
cdef enum: _INTEGERS = 0, _DOUBLES = 1, _TEXTS = 2, _BLOBS = 3
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


cdef struct Field:
    int kind
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

        Each column is a type and the offset and the buffers of an Arrow array: the validity bitmap or None, the ends
        of texts and blobs, and the values. Raises SqliteError; the rows before the one that failed are inserted.
        """
        cdef int i, code
        if self.statement == NULL or len(columns) != self.width:
            raise SqliteError("the statement is closed or has another number of parameters")
        for i in range(self.width):
            kind, offset, buffers = columns[i]
            self._set(&self.fields[i], rows, kind, offset, buffers)
        with nogil:
            code = self._execute(rows)
        message = self.connection.message()
        (<statement_type> self.functions[_RESET])(self.statement)
        (<statement_type> self.functions[_CLEAR_BINDINGS])(self.statement)
        if code == _OUTSIDE:
            raise ValueError("a text or blob is outside of its buffer")
        if code != _OK:
            raise SqliteError(message)

    cdef _set(self, Field* field, int64_t rows, int kind, int64_t offset, buffers):
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
        elif field.size < 8 * end:
            raise ValueError("a buffer of values is too short")

    cdef int _execute(self, int64_t rows) noexcept nogil:
        cdef statement_type step = <statement_type> self.functions[_STEP]
        cdef statement_type reset = <statement_type> self.functions[_RESET]
        cdef bind_null_type bind_null = <bind_null_type> self.functions[_BIND_NULL]
        cdef bind_int64_type bind_int64 = <bind_int64_type> self.functions[_BIND_INT64]
        cdef bind_double_type bind_double = <bind_double_type> self.functions[_BIND_DOUBLE]
        cdef bind_bytes_type bind_text = <bind_bytes_type> self.functions[_BIND_TEXT]
        cdef bind_bytes_type bind_blob = <bind_bytes_type> self.functions[_BIND_BLOB]
        cdef int64_t row, position, start, end
        cdef int i, code
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
