"""Rows written to files as they come: JSON Lines and Parquet."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import orjson
from isal import isal_zlib

from newsarchive.export.rows import FIELDS, Row
from newsarchive.index.row import as_text

__all__ = ["NoParquet", "json_lines", "parquet"]

Write = Callable[[Row], None]
#: isal's levels are 0 to 3.
LEVEL = 2
#: zlib's notation for gzip.
GZIP_WINDOW = 31
#: Rows of a row group, and characters of their bodies, after which the next one begins.
MOST_ROWS, MOST_TEXT = 2_000, 2_000_000


class NoParquet(ImportError):
    """Says what is to be installed."""

    def __init__(self) -> None:
        super().__init__("Parquet needs pyarrow, which is not installed: pip install -e '.[export]'")


@contextmanager
def json_lines(out: BinaryIO, *, compressed: bool = False) -> Iterator[Write]:
    """Let the block write rows as lines of JSON; times in ISO 8601 with milliseconds."""
    options = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_APPEND_NEWLINE
    if not compressed:
        yield lambda row: _write(out, orjson.dumps(row, as_text, options))
        return
    # Its header has neither time nor name, so that the same rows give the same bytes.
    packer = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, GZIP_WINDOW)
    yield lambda row: _write(out, packer.compress(orjson.dumps(row, as_text, options)))
    out.write(packer.flush())


def _write(out: BinaryIO, data: bytes) -> None:
    out.write(data)


@contextmanager
def parquet(out: BinaryIO) -> Iterator[Write]:
    """Let the block write rows in row groups; raise NoParquet if pyarrow is missing."""
    arrow = _arrow()
    schema = _schema(arrow)
    waiting: list[Row] = []
    size = 0

    def flush() -> None:
        nonlocal size
        if waiting:
            writer.write_batch(arrow.RecordBatch.from_pylist(waiting, schema))
        waiting.clear()
        size = 0

    def write(row: Row) -> None:
        nonlocal size
        waiting.append(row)
        size += len(row["body"] or "")
        if len(waiting) >= MOST_ROWS or size >= MOST_TEXT:
            flush()

    with arrow.parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        yield write
        flush()


def _arrow() -> Any:
    """Return pyarrow, which takes long to load; raise NoParquet."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise NoParquet from error
    return pyarrow


def _schema(arrow: Any) -> Any:
    """Return the columns as Arrow has them."""
    text = arrow.string()
    types = {
        "text": text,
        "texts": arrow.list_(text),
        "number": arrow.int64(),
        "flag": arrow.bool_(),
        "time": arrow.timestamp("ms", "UTC"),
        "images": arrow.list_(arrow.struct([(name, text) for name in ("url", "caption", "credit")])),
    }
    return arrow.schema([(name, types[kind]) for name, kind in FIELDS.items()])
