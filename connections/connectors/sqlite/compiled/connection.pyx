# cython: language_level=3, boundscheck=False, wraparound=False
"""Connections to SQLite files through the C API of the copy of SQLite that is in ADBC's driver.

SQLite hands each extension that it loads a table of pointers to its functions. This module is such an extension. So it
needs neither headers nor a library to link, and rows are read and written by the copy of SQLite that ADBC uses.
"""

from libc.stdint cimport int64_t

cdef extern from *:
    """
    static void *pipekit_functions = 0;

    __attribute__((visibility("default")))
    int sqlite3_pipekit_init(void *database, char **error, void *functions) {
        pipekit_functions = functions;
        return 0;
    }
    """
    const char* PIPEKIT_SOURCE
    void* pipekit_functions

SOURCE = PIPEKIT_SOURCE.decode()
ENTRYPOINT = "sqlite3_pipekit_init"

# the storage classes of https://www.sqlite.org/c3ref/c_blob.html, and result codes
cdef enum: _INTEGER = 1, _REAL = 2, _TEXT = 3, _BLOB = 4
cdef enum: _OK = 0, _ROW = 100, _DONE = 101
# https://www.sqlite.org/c3ref/c_open_autoproxy.html: as ADBC opens a file, but used by one thread at a time, so that
# no value needs a lock
cdef enum: _READWRITE = 0x2, _CREATE = 0x4, _URI = 0x40, _NO_MUTEX = 0x8000

# functions of https://www.sqlite.org/c3ref/funclist.html, and their positions in the table that extensions are given:
# https://www.sqlite.org/src/file/src/sqlite3ext.h, in which functions are only ever added at the end
ctypedef int (*open_type)(const char*, void**, int, const char*) noexcept nogil
ctypedef int (*prepare_type)(void*, const char*, int, void**, const char**) noexcept nogil
ctypedef int (*pointer_to_int)(void*) noexcept nogil
ctypedef void (*pointer_to_nothing)(void*) noexcept nogil
ctypedef const char* (*pointer_to_text)(void*) noexcept nogil
ctypedef void* (*column_type)(void*, int) noexcept nogil
ctypedef int64_t (*pointer_to_int64)(void*) noexcept nogil
ctypedef double (*pointer_to_double)(void*) noexcept nogil
cdef enum:
    _COLUMN_COUNT = 22
    _COLUMN_VALUE = 39
    _ERRMSG = 53
    _FINALIZE = 57
    _INTERRUPT = 64
    _STEP = 94
    _VALUE_BLOB = 102
    _VALUE_BYTES = 103
    _VALUE_DOUBLE = 105
    _VALUE_INT64 = 107
    _VALUE_TEXT = 109
    _VALUE_TYPE = 113
    _PREPARE_V2 = 116
    _OPEN_V2 = 135
    _CLOSE_V2 = 179


def functions():
    """Return the address of the table of functions, 0 before SQLite has loaded this module as an extension."""
    return <size_t> pipekit_functions


class SqliteError(Exception):
    """An error of SQLite, with its message."""


cdef class Connection:
    """A connection in autocommit mode, used by one thread at a time; `interrupt` may be called from any."""

    cdef void* database
    cdef void** functions

    def __cinit__(self, str uri):
        self.functions = <void**> pipekit_functions
        if self.functions == NULL:
            raise SqliteError("SQLite has not loaded the extension")
        encoded = uri.encode()
        cdef const char* name = encoded
        cdef int code
        with nogil:
            code = (<open_type> self.functions[_OPEN_V2])(
                name, &self.database, _READWRITE | _CREATE | _URI | _NO_MUTEX, NULL
            )
        if code != _OK:
            raise SqliteError(self.message())

    def __dealloc__(self):
        self.close()

    @property
    def address(self):
        """The address of the connection for the other compiled modules, 0 after `close`."""
        return <size_t> self.database

    def close(self):
        """Close the connection; a statement that is still prepared keeps the file open."""
        database, self.database = self.database, NULL
        if database != NULL:
            with nogil:
                (<pointer_to_int> self.functions[_CLOSE_V2])(database)

    def interrupt(self):
        """Make running statements fail. Like `close`, it holds the GIL when it uses the connection."""
        if self.database != NULL:
            (<pointer_to_nothing> self.functions[_INTERRUPT])(self.database)

    def message(self):
        """Return the message of the last error."""
        if self.database == NULL:
            return "the connection is closed"
        return (<pointer_to_text> self.functions[_ERRMSG])(self.database).decode(errors="replace")

    def fetch(self, str sql):
        """Execute one statement and return its rows as tuples. Raises SqliteError."""
        if self.database == NULL:
            raise SqliteError("the connection is closed")
        encoded = sql.encode()
        cdef const char* text = encoded
        cdef void* statement = NULL
        cdef int code
        cdef pointer_to_int step = <pointer_to_int> self.functions[_STEP]
        with nogil:
            code = (<prepare_type> self.functions[_PREPARE_V2])(self.database, text, -1, &statement, NULL)
        if code != _OK:
            raise SqliteError(self.message())
        rows = []
        try:
            width = (<pointer_to_int> self.functions[_COLUMN_COUNT])(statement)
            while True:
                with nogil:
                    code = step(statement)
                if code != _ROW:
                    break
                rows.append(tuple([self._value(statement, column) for column in range(width)]))
            if code != _DONE:
                raise SqliteError(self.message())
        finally:
            (<pointer_to_int> self.functions[_FINALIZE])(statement)
        return rows

    cdef _value(self, void* statement, int column):
        cdef void* value = (<column_type> self.functions[_COLUMN_VALUE])(statement, column)
        cdef int storage = (<pointer_to_int> self.functions[_VALUE_TYPE])(value)
        cdef const char* start
        if storage == _INTEGER:
            return (<pointer_to_int64> self.functions[_VALUE_INT64])(value)
        if storage == _REAL:
            return (<pointer_to_double> self.functions[_VALUE_DOUBLE])(value)
        if storage != _TEXT and storage != _BLOB:
            return None
        # before the size, because this may move the value
        start = (<pointer_to_text> self.functions[_VALUE_TEXT if storage == _TEXT else _VALUE_BLOB])(value)
        data = start[:(<pointer_to_int> self.functions[_VALUE_BYTES])(value)] if start != NULL else b""
        return data.decode() if storage == _TEXT else data
