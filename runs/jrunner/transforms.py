"""Changes that a job makes to text in transit: trims trailing blanks, removes NUL bytes."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from connections.sdk.arrow.text_search import has_nul
from runs.jrunner.job import Job


class Transforms:
    """The transforms of one job, applied to its batches in order; counts the values from which NUL was removed."""

    def __init__(self, job: Job) -> None:
        self.trims = job.trim
        self.strips = job.options.get("nul_bytes") == "strip"
        self.stripped: dict[str, int] = {}

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with transformed text columns."""
        if not (self.trims or self.strips):
            return batch
        arrays = [self._column(batch.column(i), batch.schema.field(i)) for i in range(batch.num_columns)]
        return pa.record_batch(arrays, schema=batch.schema)

    def warnings(self) -> list[str]:
        return [
            f"NUL bytes were removed from {count} values of column “{name}”." for name, count in self.stripped.items()
        ]

    def _column(self, array: pa.Array, field: pa.Field) -> pa.Array:
        if not pa.types.is_string(field.type):
            return array
        if self.strips and has_nul(array):
            count = pc.sum(pc.match_substring(array, "\0")).as_py()
            self.stripped[field.name] = self.stripped.get(field.name, 0) + count
            array = pc.replace_substring(array, "\0", "")
        return pc.utf8_rtrim(array, characters=" ") if self.trims else array
