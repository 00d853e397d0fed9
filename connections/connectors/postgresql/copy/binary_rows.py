"""Reads the rows of a PostgreSQL query from a binary COPY through asyncpg, and decodes them in a compiled module.

A thread of its own receives the data, so that the server continues while rows are decoded. Import it only if
`connections.sdk.compiled` has the module.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence

import pyarrow as pa

from connections.connectors.postgresql.copy import binary_values, wire_values
from connections.connectors.postgresql.copy.binary_decoder import Decoder, InvalidData
from connections.connectors.postgresql.copy.receiver import Receiver
from connections.sdk import errors
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.row_counts import check_counts
from connections.sdk.schema import Column

# the signature is followed by flags and the length of an extension, both 0
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_MAX_ROWS = 65536


class BinaryRows:
    """The rows of a query whose columns have the types ``natives``, in batches of at most about ``batch_bytes``.

    ``close`` cancels the query; it may be called from another thread.
    """

    def __init__(
        self,
        parameters: ConnectionParameters,
        query: str,
        natives: Sequence[str],
        columns: Sequence[Column],
        *,
        batch_bytes: int,
    ) -> None:
        self.natives = natives
        self.columns = columns
        self._sent = wire_values.sent_types(natives, columns, binary=True)
        fields = [binary_values.field(*pair) for pair in zip(self._sent, columns, strict=True)]
        self._decoder = Decoder(fields, _MAX_ROWS, max(1, batch_bytes // 4))
        oids = tuple(binary_values.DECODED[name].oid for name in self._sent)
        self._receiver = Receiver(parameters, wire_values.wrapped(query, natives, self._sent), oids)

    def open(self) -> None:
        """Open the session and start the query. Raises the errors of `bulk.connect`."""
        self._receiver.open()

    def close(self) -> None:
        self._receiver.cancel()

    def is_busy(self) -> bool:
        backend = self._receiver.backend
        return backend is not None and backend.is_busy()

    def read(self) -> Generator[pa.RecordBatch, None, None]:
        """Yield the rows in the Arrow types of the columns. Raises InvalidValue for a value that these do not hold."""
        rows = 0
        try:
            for count in filled(self._decoder, self._receiver.parts()):
                rows += count
                yield self._batch(count)
        except InvalidData as error:
            raise errors.InternalError(
                f"The rows could not be read: {error}.", hint="This is a bug in Pipekit; please report it."
            ) from None
        finally:
            self._receiver.close()
        check_counts(self._receiver.rows, rows)

    def _batch(self, rows: int) -> pa.RecordBatch:
        for position, (_, value) in self._decoder.unrepresentable.items():
            binary_values.refuse(value, self._sent[position], self.columns[position])
        fields = zip(self._decoder.take(), self.natives, self._sent, self.columns, strict=True)
        ascii = self._decoder.ascii
        arrays = [
            binary_values.array(buffers, rows, native, sent, column, ascii=position in ascii)
            for position, (buffers, native, sent, column) in enumerate(fields)
        ]
        return pa.record_batch(arrays, names=[column.dest_name for column in self.columns])


def filled(decoder: Decoder, parts: Iterable[bytes | pa.Buffer]) -> Iterator[int]:
    """Decode the data of a COPY; yield the number of rows of each batch, which is then to be taken from the decoder.

    Raises InvalidData if the data is not complete.
    """
    # the beginning of the next row; copied, because the memory of a part is filled again
    rest: list[bytes] = []
    size, needed, header = 0, len(HEADER), HEADER
    for part in parts:
        size += len(part)
        if size < needed:
            rest.append(bytes(part))
            continue
        # as a rule, a part begins where a row does
        data, at = b"".join([*rest, part]) if rest else part, len(header)
        if bytes(data[:at]) != header:
            raise InvalidData("the data does not begin as COPY's does")
        header = b""
        while True:
            at = decoder.decode(data, at)
            if not decoder.is_full:
                break
            yield decoder.rows
        size, needed = len(data) - at, decoder.needed
        rest = [bytes(data[at:])] if size else []
    if decoder.rows:
        yield decoder.rows
    if not decoder.has_ended or size:
        raise InvalidData("the data does not end with the end of a row")
