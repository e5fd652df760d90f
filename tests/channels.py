"""Servers on loopback that take alerts: one for mail, one for the web."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session


class _Mails:
    """Keeps the mails that arrive."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[tuple[str, list[EmailMessage]]]:
    """Run a mail server while the context lasts; yield its address for Apprise, and the mails that have come."""
    box, loop, ready, over = _Mails(), asyncio.new_event_loop(), Event(), asyncio.Event()
    ports: list[int] = []

    async def serve() -> None:
        async with await loop.create_server(lambda: SMTP(box, hostname="localhost"), "127.0.0.1", 0) as server:
            ports.append(server.sockets[0].getsockname()[1])
            ready.set()
            await over.wait()

    thread = Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    address = f"mailto://127.0.0.1:{ports[0]}?from=archive@example.org&to=keeper@example.org&mode=insecure"
    try:
        yield address, box.mails
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()


class Web(ThreadingHTTPServer):
    """Keeps what is posted, or refuses it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posted: list[dict[str, Any]] = []
        self.status = 200

    @property
    def address(self) -> str:
        """The address for Apprise, with a secret."""
        return f"json://keeper:hunter2secret@127.0.0.1:{self.server_address[1]}/tok3nvalue"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Web)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status == 200:
            self.server.posted.append(json.loads(body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def web_server() -> Iterator[Web]:
    """Run a server while the context lasts that takes what is posted."""
    with Web() as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)
