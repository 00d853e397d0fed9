# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Separates the data of a COPY from the other messages in what a connection receives from PostgreSQL.

A message is one byte for its type, its length in four bytes (big-endian, these four included) and its content. The
server sends the data in messages of type ``d``, one for each row.
"""

from __future__ import annotations

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint32_t, uintptr_t
from libc.string cimport memcpy

import pyarrow as pa

cdef extern from *:
    const char* PIPEKIT_SOURCE

SOURCE = PIPEKIT_SOURCE.decode()

cdef enum:
    HEADER = 5


cdef class CopyStream:
    """Collects the data in parts of ``size`` bytes; ``is_full`` says that one can be taken."""

    cdef int64_t size, capacity, used, complete
    # of the message that is being received: what there is of its header, and how much of its content is missing
    cdef unsigned char[HEADER] header
    cdef int header_size
    cdef int64_t missing
    cdef unsigned char* data
    cdef object buffer
    # buffers that can be filled again: new ones would be memory that the system has to clear first
    cdef list unused

    def __cinit__(self, int64_t size):
        self.size, self.unused = size, []
        self._begin(size)

    @property
    def is_full(self):
        return self.complete >= self.size

    def feed(self, received):
        """Add received bytes. Return those that belong to other messages. Raises ValueError for what is no message."""
        cdef Py_buffer view
        others = bytearray()
        PyObject_GetBuffer(received, &view, PyBUF_SIMPLE)
        try:
            self._feed(<const unsigned char*>view.buf, view.len, others)
        finally:
            PyBuffer_Release(&view)
        return bytes(others)

    def take(self):
        """Return the data of all complete messages so far as an Arrow buffer."""
        cdef int64_t size = self.complete, rest = self.used - self.complete
        cdef unsigned char* before = self.data
        taken = self.buffer
        self._begin(self.size + rest)
        memcpy(self.data, before + size, rest)
        self.used = rest
        taken.resize(size, shrink_to_fit=False)
        return taken

    def reuse(self, buffer):
        """Fill the buffer of a part again; nothing may refer to its data any more. May be called by another thread."""
        self.unused.append(buffer)

    cdef _begin(self, int64_t size):
        self.used = self.complete = 0
        buffer = self.unused.pop() if self.unused else pa.allocate_buffer(0, resizable=True)
        # some bytes more, because a part is taken after the message that fills it
        self._grow(buffer, size + size // 4)

    cdef _grow(self, buffer, int64_t capacity):
        buffer.resize(capacity)
        self.buffer, self.capacity, self.data = buffer, capacity, <unsigned char*><uintptr_t>buffer.address

    cdef _feed(self, const unsigned char* received, int64_t size, bytearray others):
        cdef int64_t at = 0, count, length
        while at < size:
            if self.header_size < HEADER:
                count = min(HEADER - self.header_size, size - at)
                memcpy(self.header + self.header_size, received + at, count)
                self.header_size += count
                at += count
                if self.header_size < HEADER:
                    break
                length = (
                    (<uint32_t>self.header[1] << 24) | (<uint32_t>self.header[2] << 16)
                    | (<uint32_t>self.header[3] << 8) | self.header[4]
                )
                if length < 4:
                    raise ValueError(f"a message has the length {length}")
                self.missing = length - 4
                if self.header[0] != c"d":
                    others.extend(self.header[:HEADER])
            count = min(self.missing, size - at)
            if self.header[0] != c"d":
                others.extend(received[at : at + count])
            else:
                if count > self.capacity - self.used:
                    self._grow(self.buffer, max(2 * self.capacity, self.used + count))
                memcpy(self.data + self.used, received + at, count)
                self.used += count
            at += count
            self.missing -= count
            if self.missing == 0:
                self.header_size = 0
                if self.header[0] == c"d":
                    self.complete = self.used
