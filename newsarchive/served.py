"""Responses that were read back from WARC files, as Scrapy has them."""

from scrapy.http import Headers, Response
from scrapy.responsetypes import responsetypes

from newsarchive.capture import Capture
from newsarchive.warc import Served
from newsarchive.whole_body import content_encodings, whole

__all__ = ["as_read", "as_response", "capture_of", "location"]


def as_response(served: Served) -> Response:
    """Return a response as the downloader would have, before anybody has decompressed it."""
    headers = Headers()
    for name, value in served.headers:
        headers.appendlist(name, value.encode("latin-1", "replace"))
    kind = responsetypes.from_args(headers=headers, url=served.url, body=served.body)
    return kind(served.url, status=served.status, headers=headers, body=served.body)


def location(served: Served) -> str:
    """Return where a response redirects to; empty if nowhere."""
    return next((value for name, value in served.headers if name.lower() == "location"), "")


def capture_of(name: str, served: Served) -> Capture:
    """Return the capture that was read back from a file of the archive."""
    return Capture(
        file=name,
        offset=served.offset,
        url=served.url,
        captured=served.captured,
        status=served.status,
        digest=served.digest,
        kind=served.kind,
        announced=served.announced,
    )


def as_read(served: Served) -> Response:
    """Return a response as it was read when it was captured, decompressed; raise as ``whole_body.whole`` does."""
    response = as_response(served)
    return whole(response, content_encodings(response))
