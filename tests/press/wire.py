"""Where connections lead: whatever host is asked, to the press on loopback, without TLS."""

from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

from scrapy import Request
from scrapy.http import Response

__all__ = ["wired"]


class Clock(Protocol):
    """Stands still while something is under way."""

    under_way: int


class Wire:
    """Asks the press what another host was to be asked, and hands back the answer as that host's."""

    port: ClassVar[int]
    clock: ClassVar[Clock]

    async def download_request(self, request: Request) -> Response:
        """Return the answer; the clock stands still meanwhile."""
        parts = urlsplit(request.url)
        query = f"?{parts.query}" if parts.query else ""
        asked = request.replace(url=f"http://127.0.0.1:{self.port}{parts.path or '/'}{query}")
        asked.headers["Host"] = parts.netloc
        self.clock.under_way += 1
        try:
            # Its base is known when there are settings.
            response: Response = await super().download_request(asked)  # type: ignore[misc]
        finally:
            self.clock.under_way -= 1
        return response.replace(url=request.url)


def wired(handler: type[Any], port: int, clock: Clock) -> type[Any]:
    """Return a download handler whose connections lead to a port of loopback; all else is as in the one given."""
    return type("Wired", (Wire, handler), {"port": port, "clock": clock})
