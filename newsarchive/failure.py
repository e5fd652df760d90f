"""Why a page could not be had, in our words."""

from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    IgnoreRequest,
    NotSupported,
    ResponseDataLossError,
    UnsupportedURLSchemeError,
)
from scrapy.spidermiddlewares.httperror import HttpError
from twisted.python.failure import Failure

from newsarchive.article import Refused

__all__ = ["refusal_of"]

#: What Scrapy raises, and what we call it.
_FAILURES: dict[type[BaseException], str] = {
    CannotResolveHostError: "dns",
    DownloadCancelledError: "too-large",
    DownloadConnectionRefusedError: "no-connection",
    DownloadFailedError: "no-response",
    DownloadTimeoutError: "timeout",
    NotSupported: "scheme",
    ResponseDataLossError: "truncated",
    UnsupportedURLSchemeError: "scheme",
}


def refusal_of(failure: Failure) -> Refused:
    """Return the reason for which a page could not be had."""
    error = failure.value
    if error is None:
        return Refused("no-response")
    if isinstance(error, Refused):
        return error
    if isinstance(error, HttpError):
        return Refused(f"status-{error.response.status}", "the publisher's server says so")
    if isinstance(error, IgnoreRequest):
        # The message is all that tells Scrapy's own refusals apart.
        told = str(error)
        return Refused("robots" if "robots.txt" in told else "too-large" if "MAXSIZE" in told else "ignored", told)
    refusal = Refused(_FAILURES.get(type(error), "no-response"), f"{type(error).__name__}: {error}")
    refusal.__cause__ = error
    return refusal
