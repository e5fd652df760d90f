"""Captures in WARC files, the standard of web archives (ISO 28500), written and read.

A file opens with a ``warcinfo`` record that says who wrote it. Every capture is
a response and a request, each in a gzip member of its own, so that any of them
can be read alone. A body that was stored before is not stored again: a
``revisit`` record names the capture that has it.

Bodies are stored as they were served, without transfer coding. Headers that do
not fit what is stored (``Transfer-Encoding``, a wrong ``Content-Length``) have
``X-Archive-Orig-`` before their names, as archives do, and get their names back
when they are read.

Fields of our own: ``X-Newsarchive-Kind`` and ``X-Newsarchive-Announced`` keep
what was known of a capture besides its response, ``X-Newsarchive-Headers`` says
whether headers were renamed.
"""

from newsarchive.warc.checker import check
from newsarchive.warc.digest import payload_digest
from newsarchive.warc.mender import Mended, mend
from newsarchive.warc.reader import Served, WarcError, at, is_warc, read
from newsarchive.warc.walk import Damage
from newsarchive.warc.writer import CaptureWriter

__all__ = [
    "CaptureWriter",
    "Damage",
    "Mended",
    "Served",
    "WarcError",
    "at",
    "check",
    "is_warc",
    "mend",
    "payload_digest",
    "read",
]
