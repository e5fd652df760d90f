"""All hosts of the three publishers on one port of loopback, as a world has them at the present simulated time.

A share of all requests fails, each in a way of its own; what fails depends on the seed, the
address and the time alone. Everything that is asked is noted, and with it what was answered:
that is what a crawl is judged by.
"""

import asyncio
import json
import re
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.utils import formatdate, parsedate_to_datetime
from hashlib import blake2b
from random import Random
from time import time as now
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.press.listings import listing
from tests.press.pages import expired, is_expired, page
from tests.press.world import DAY, HOUR, NEVER, Piece, World, url_of

__all__ = [
    "CDX_LIMIT",
    "CDX_WINDOW",
    "CRAWL_DELAY",
    "FORBIDDEN",
    "Answer",
    "Asked",
    "Press",
    "copied",
    "find",
    "robots",
]

#: What robots.txt forbids, by host.
FORBIDDEN = {
    "www.cna.com.tw": ("/cna2018api/api/",),
    "www.dw.com": ("/search/", "/graph-api/", "/overlay/"),
    "www.rfi.fr": ("/cn/_ws/", "/tw/_ws/"),
}
#: Seconds between two requests that a host asks for.
CRAWL_DELAY = {"www.rfi.fr": 4.0}
HOSTS = {"www.cna.com.tw": "cna", "www.dw.com": "dw", "www.rfi.fr": "rfi"}
#: Share of CNA's articles that the Wayback Machine has.
COPIED = 0.9
#: Questions that the Wayback Machine's CDX server takes in so many seconds. Who asks again for so many seconds after it
#: has said that it was too often finds it closed for an hour.
CDX_LIMIT, CDX_WINDOW, CDX_PATIENCE = 120, 300, 60
#: How requests fail, and how often each way is taken.
FAULTS = {"500": 3, "503": 2, "503-later": 1, "429": 2, "reset": 2, "cut": 2}


@dataclass(slots=True)
class Asked:
    """A request, and what was answered."""

    time: float
    host: str
    path: str
    #: ``If-None-Match`` or ``If-Modified-Since`` was sent.
    conditional: bool
    #: 0 for a connection that was broken off.
    status: int = 0
    #: What was done to the answer: one of FAULTS, ``blocked``, ``too-often``, ``closed``, or nothing.
    fault: str = ""
    #: The article that was served, and in which of its states; ``expired`` and 404 have none.
    id: str = ""
    state: int = -1
    #: Seconds to be left alone, as the answer asked.
    later: float = 0

    @property
    def url(self) -> str:
        """What was asked for."""
        return f"https://{self.host}{self.path}"

    @property
    def whole(self) -> bool:
        """Whether the answer was what the publisher has to say, or that it has not changed."""
        return self.status in (200, 304) and not self.fault


@dataclass(slots=True)
class Answer:
    """What is answered to a request."""

    status: int
    body: bytes = b""
    type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    piece: Piece | None = None
    state: int = -1


def robots(host: str) -> str:
    """Return a host's robots.txt."""
    rules = "".join(f"Disallow: {path}\n" for path in FORBIDDEN.get(host, ())) or "Disallow:\n"
    delay = f"Crawl-delay: {CRAWL_DELAY[host]:.0f}\n" if host in CRAWL_DELAY else ""
    return f"User-agent: *\n{rules}{delay}\nUser-agent: GPTBot\nDisallow: /\n"


@dataclass
class Press:
    """Answers for all publishers."""

    world: World
    #: Share of requests that fail.
    faults: float = 0.0
    #: Tells whether a host refuses to serve a path at a time (403).
    blocked: Callable[[str, str, float], bool] = lambda host, path, time: False
    #: Changes the page of an article of a publisher, as of a time.
    alter: Callable[[str, float, str], str] = lambda publisher, time, page: page
    log: list[Asked] = field(default_factory=list)
    #: When the bytes of an address were first seen as they are.
    seen: dict[str, tuple[str, float]] = field(default_factory=dict)
    #: The time at which publishers have stopped; None while they have not.
    frozen: float | None = None
    #: How many requests are answered before this process comes to its ``end``; 0 if it does not.
    last: int = 0
    end: Callable[[], None] = lambda: None
    #: When the CDX server was asked, when it last said that it was too often, and until when it is closed.
    questions: list[float] = field(default_factory=list)
    warned: float = -NEVER
    closed: float = -NEVER

    async def listen(self) -> int:
        """Listen on a free port of loopback, and return it."""
        server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), "127.0.0.1", 0)
        return int(server.sockets[0].getsockname()[1])

    def respond(self, host: str, path: str, headers: dict[str, str]) -> tuple[Asked, Answer]:
        """Note a request and return what to answer."""
        time = now()
        if self.last and len(self.log) >= self.last:
            self.end()
        conditional = bool({"if-none-match", "if-modified-since"} & headers.keys())
        asked = Asked(time, host, path, conditional)
        self.log.append(asked)
        asked.fault = self.fault(host, path, time)
        if asked.fault == "blocked":
            answer = Answer(403, b"<html><head><title>403 Forbidden</title></head></html>")
        elif asked.fault and asked.fault != "cut":
            answer = self.failing(asked)
        else:
            answer = self.unchanged(asked.url, self.answer(host, path, self.frozen or time), headers, time)
        if asked.fault == "cut" and (answer.status != 200 or len(answer.body) < 200):
            asked.fault = ""
        asked.status = 0 if asked.fault in ("reset", "closed") else answer.status
        if answer.piece and not asked.fault:
            asked.id, asked.state = answer.piece.id, answer.state
        return asked, answer

    def fault(self, host: str, path: str, time: float) -> str:
        """Return how a request fails; empty if it does not."""
        if self.blocked(host, path, time):
            return "blocked"
        questions = host == "web.archive.org" and path.startswith("/cdx/")
        if questions and (limit := self.limit(time)):
            return limit
        chance = Random(f"{self.world.spec.seed} {host} {path} {time:.3f}")
        if chance.random() >= self.faults:
            return ""
        fault = chance.choices(list(FAULTS), FAULTS.values())[0]
        return self.warn(time) if questions and fault == "429" else fault

    def limit(self, time: float) -> str:
        """Return what the CDX server does about one question more; empty if it is not too many."""
        self.questions = [asked for asked in self.questions if asked > time - CDX_WINDOW] + [time]
        if time < self.warned + CDX_PATIENCE:
            self.closed = time + HOUR
        if time < self.closed:
            return "closed"
        return self.warn(time) if len(self.questions) > CDX_LIMIT else ""

    def warn(self, time: float) -> str:
        """Return what the CDX server does about questions that come too often; it does not say for how long."""
        self.warned = time
        return "too-often"

    def failing(self, asked: Asked) -> Answer:
        """Return the answer of a server in trouble."""
        status = {"reset": 503, "closed": 503, "too-often": 429}.get(asked.fault) or int(asked.fault[:3])
        answer = Answer(status, b"<html>trouble</html>")
        if asked.fault in ("429", "503-later"):
            chance = Random(f"{asked.time:.3f}")
            asked.later = float(chance.choices((10, 20, 60, 120, 600), (4, 4, 4, 3, 1))[0])
            date = formatdate(asked.time + asked.later, usegmt=True)
            answer.headers["Retry-After"] = date if asked.fault == "503-later" else f"{asked.later:.0f}"
        return answer

    def unchanged(self, url: str, answer: Answer, headers: dict[str, str], time: float) -> Answer:
        """Return 304 instead of an answer that the client has; RFI knows times only, all others ETags too."""
        if answer.status != 200:
            return answer
        tag = f'"{blake2b(answer.body, digest_size=8).hexdigest()}"'
        known, since = self.seen.get(url, ("", 0.0))
        if known != tag:
            self.seen[url] = (tag, since := time)
        answer.headers["Last-Modified"] = formatdate(since, usegmt=True)
        if not url.startswith("https://www.rfi.fr/"):
            answer.headers["ETag"] = tag
        if "if-none-match" in headers and "ETag" in answer.headers:
            same = tag in headers["if-none-match"]
        else:
            told = headers.get("if-modified-since", "")
            same = bool(told) and parsedate_to_datetime(told).timestamp() >= int(since)
        if same:
            answer.status, answer.body = 304, b""
        return answer

    # What there is to answer.

    def answer(self, host: str, path: str, time: float) -> Answer:
        """Return what an address leads to."""
        url = f"https://{host}{path}"
        if path == "/robots.txt":
            return Answer(200, robots(host).encode(), "text/plain")
        if host == "web.archive.org":
            return self.wayback(path, time)
        if any(path.startswith(rule) for rule in FORBIDDEN.get(host, ())):
            return Answer(200, b"{}", "application/json")
        if found := listing(self.world, url, time):
            return Answer(200, found[0].encode(), found[1])
        publisher = HOSTS.get(host, "")
        return self.article(publisher, unquote(urlsplit(path).path), time) if publisher else Answer(404)

    def article(self, publisher: str, path: str, time: float) -> Answer:
        """Return the page at an address of an article, or where it has gone."""
        piece = find(self.world, publisher, path)
        if piece is None or time < piece.published:
            return Answer(404, b"<html><head><title>404</title></head></html>")
        if not piece.lives(time):
            return Answer(piece.status, b"<html><head><title>404</title></head></html>")
        state = piece.state(time)
        if publisher == "rfi" and path != state.path:
            return Answer(301, headers={"Location": url_of("rfi", state.path)})
        if is_expired(piece, time):
            return Answer(200, expired(piece, time).encode())
        html = self.alter(publisher, time, page(piece, state, time))
        return Answer(200, html.encode(), piece=piece, state=piece.number(time))

    # The Wayback Machine, which has most of CNA's articles.

    def wayback(self, path: str, time: float) -> Answer:
        """Answer as the CDX server does, or with a copy as it was captured."""
        if match := re.match(r"/web/(\d{14})id_/(?:https?://)?www\.cna\.com\.tw(?::80)?(/.*)", path):
            piece = find(self.world, "cna", unquote(match[2]))
            moment = copied(self.world, piece) if piece else NEVER
            if piece is None or not piece.lives(moment) or moment > time:
                return Answer(404)
            if match[1] != digits(moment):
                where = f"https://web.archive.org/web/{digits(moment)}id_/{url_of('cna', piece.state(moment).path)}"
                return Answer(302, headers={"Location": where})
            body = page(piece, piece.state(moment), moment).encode()
            headers = {
                "Memento-Datetime": formatdate(moment, usegmt=True),
                "X-Archive-Orig-Content-Type": "text/html; charset=utf-8",
            }
            return Answer(200, body, headers=headers, piece=piece, state=piece.number(moment))
        if path.startswith("/cdx/search/cdx?"):
            return self.cdx(parse_qs(path.partition("?")[2]), time)
        return Answer(404)

    def cdx(self, asked: dict[str, list[str]], time: float) -> Answer:
        """Return the list of copies whose addresses begin as asked."""

        def one(name: str, default: str = "") -> str:
            return asked.get(name, [default])[0]

        prefix = re.sub(r"^https?://", "", one("url"))
        exact = one("matchType", "prefix" if prefix.endswith("*") else "exact") == "exact"
        prefix = prefix.rstrip("*")
        days = re.search(r"/(\d{4})(\d\d)?(\d\d)?\d*(?:\.aspx)?$", prefix)
        first, last = one("from", "1900"), one("to", "2999")
        rows = []
        for piece in self.pieces_of(days, first, last):
            moment = copied(self.world, piece)
            if not piece.lives(moment) or moment > time:
                continue
            address, stamp = f"www.cna.com.tw{piece.state(moment).path}", digits(moment)
            matches = address == prefix if exact else address.startswith(prefix)
            if matches and first <= stamp[: len(first)] and stamp[: len(last)] <= last:
                key = f"tw,com,cna)/{address.partition('/')[2]}"
                rows.append((key, stamp, f"https://{address}", "text/html", "200", "A" * 32, "9000"))
        names = ("urlkey", "timestamp", "original", "mimetype", "statuscode", "digest", "length")
        wanted = one("fl", ",".join(names)).split(",")
        table = [[dict(zip(names, row, strict=True))[name] for name in wanted] for row in sorted(rows)]
        if limit := one("limit"):
            table = table[: int(limit)]
        if one("output") == "json":
            return Answer(200, json.dumps([wanted, *table] if table else []).encode(), "application/json")
        return Answer(200, "".join(" ".join(row) + "\n" for row in table).encode(), "text/plain")

    def pieces_of(self, days: re.Match[str] | None, first: str, last: str) -> list[Piece]:
        """Return the articles that a query can be about: of the days in its address, or of its range."""
        if days and days[2]:
            start = date(int(days[1]), int(days[2]), int(days[3] or 1))
            end = start if days[3] else (start.replace(day=28))
            end = date.fromordinal(end.toordinal() + (0 if days[3] else 4))
        else:
            start, end = (day_of(first, 1), day_of(last, 28)) if len(first) >= 6 and len(last) >= 6 else (None, None)
        if start is None or end is None:
            return []
        ordinals = range(start.toordinal() - 21 * (days is None), end.toordinal() + 1)
        return [piece for day in ordinals for piece in self.world.day("cna", date.fromordinal(day))]


def copied(world: World, piece: Piece) -> float:
    """Return when the Wayback Machine copied an article of CNA; NEVER if it did not."""
    chance = Random(f"wayback {world.spec.seed} {piece.id}")
    return piece.published + chance.uniform(0.1, 20) * DAY if chance.random() < COPIED else NEVER


def day_of(digits: str, default: int) -> date:
    """Return the day that a timestamp of at least six digits begins with."""
    return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8] or default))


def digits(time: float) -> str:
    """Return a time as the Wayback Machine writes it."""
    return f"{datetime.fromtimestamp(time, UTC):%Y%m%d%H%M%S}"


def find(world: World, publisher: str, path: str) -> Piece | None:
    """Return the article that an address leads to, whichever of its addresses it is."""
    if publisher == "cna":
        match = re.fullmatch(r"/(?:amp/)?news/\w+/((\d{4})(\d\d)(\d\d)\d{4})(?:-\d+)?\.aspx", path, re.I)
        return world.find("cna", match[1], date(*map(int, match.groups()[1:]))) if match and _is_day(match) else None
    if publisher == "dw":
        match = re.search(r"/(?:a|live)-(\d+)$", path)
        ordinal = 739_000 + (int(match[1]) - 70_000_000) // 11_000 if match else 0
        if not 730_000 < ordinal < 750_000 or match is None:
            return None
        piece = world.find("dw", match[1], date.fromordinal(ordinal))
        return piece.twin if piece and path.startswith("/zh-hant/") else piece
    match = re.search(r"^/(cn|tw)/[^/]+/(\d{4})(\d\d)(\d\d)-", path)
    if not match or not _is_day(match):
        return None
    for piece in world.day("rfi", date(*map(int, match.groups()[1:]))):
        piece = piece.twin if match[1] == "tw" else piece
        if path in [state.path for state in piece.states]:
            return piece
    return None


def _is_day(match: re.Match[str]) -> bool:
    """Tell whether the last three groups are a day."""
    try:
        date(*map(int, match.groups()[1:]))
    except ValueError:
        return False
    return True


class _Connection(asyncio.Protocol):
    """Speaks HTTP/1.1, one request after the other."""

    def __init__(self, press: Press) -> None:
        self.press = press
        self.waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while b"\r\n\r\n" in self.waiting:
            head, _, self.waiting = self.waiting.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            path = quote(first.split(" ")[1], safe="/%?&=:*,+~#[]@!$'();")
            self.send(*self.press.respond(headers["host"], path, headers))

    def send(self, asked: Asked, answer: Answer) -> None:
        """Send an answer, or break off."""
        if asked.fault in ("reset", "closed"):
            linger = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.transport.abort()
            return
        headers = {
            "Date": formatdate(asked.time, usegmt=True),
            "Content-Type": answer.type,
            "Content-Length": str(len(answer.body)),
            **answer.headers,
        }
        told = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        body = answer.body[: len(answer.body) // 2] if asked.fault == "cut" else answer.body
        self.transport.write(f"HTTP/1.1 {answer.status} -\r\n{told}\r\n".encode("latin-1") + body)
        if asked.fault == "cut":
            self.transport.close()
