# distutils: language = c++
# cython: language_level = 3, embedsignature = False
"""What Python sees of `row_text.h`."""

from libc.stdint cimport uint8_t
from libcpp cimport bool as cbool
from libcpp.vector cimport vector


cdef extern from "row_text.h" namespace "backstay" nogil:
    enum class Kind(uint8_t):
        pass

    enum class State(int):
        pass

    const uint8_t last_kind
    cbool utf8 "backstay::is_utf8"(const uint8_t* at, size_t size)

    cdef struct Column:
        Kind kind
        uint8_t decimals

    cdef struct Seen:
        cbool zero
        cbool odd_ascii

    cdef cppclass Text:
        size_t size()
        const char* data()

    cdef cppclass Reader:
        Reader(vector[Column] columns, size_t limit, size_t full) except +
        void begin(uint8_t sequence)
        State feed(const uint8_t* at, size_t size) except +
        void resume()
        void drain()
        size_t consumed()
        State state()
        size_t rows()
        cbool is_cut()
        const Seen& seen()
        size_t limit()
        const Text& text()
        const vector[uint8_t]& packet()


def is_utf8(const uint8_t[::1] data not None):
    cdef size_t size = data.shape[0]
    cdef const uint8_t* at = &data[0] if size else NULL
    cdef cbool valid
    with nogil:
        valid = utf8(at, size)
    return valid


cdef class RowText:
    cdef Reader* _reader

    def __cinit__(self, columns, size_t limit, size_t full=0):
        cdef vector[Column] found
        cdef Column column
        for kind, decimals in columns:
            if not 0 <= kind <= last_kind or not 0 <= decimals <= 6:
                raise ValueError("no such column")
            column.kind = <Kind> <int> kind
            column.decimals = decimals
            found.push_back(column)
        self._reader = new Reader(found, limit, full)

    def __dealloc__(self):
        del self._reader

    def begin(self, sequence):
        self._reader.begin(sequence & 0xFF)

    def feed(self, const uint8_t[::1] data not None):
        cdef const uint8_t* at = NULL
        cdef size_t size = data.shape[0]
        cdef State state
        if size:
            at = &data[0]
        with nogil:
            state = self._reader.feed(at, size)
        return <int> state

    def resume(self):
        self._reader.resume()

    def drain(self):
        self._reader.drain()

    @property
    def limit(self):
        return self._reader.limit()

    @property
    def consumed(self):
        return self._reader.consumed()

    @property
    def rows(self):
        return self._reader.rows()

    @property
    def is_cut(self):
        return self._reader.is_cut()

    @property
    def has_zero(self):
        return self._reader.seen().zero

    @property
    def has_odd_ascii(self):
        return self._reader.seen().odd_ascii

    @property
    def text(self):
        return self._reader.text().data()[: self._reader.text().size()]

    @property
    def packet(self):
        return (<const char*> self._reader.packet().data())[: self._reader.packet().size()]
