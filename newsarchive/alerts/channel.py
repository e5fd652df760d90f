"""Ways to reach people: addresses of Apprise, of which some hundred kinds exist.

Addresses hold secrets, so they are shown with these masked, and what a channel's library says of a failure is only
shown where it holds none of them.
"""

import logging
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

__all__ = ["Channel", "Undelivered", "channels"]

#: Characters from which on a word in an address may be a secret.
LEAST_SECRET = 4
#: Said where a message was too long.
CUT = "\nThere is more: scrapy status."
#: Kinds of addresses whose paths, and whose hosts, may be secrets that Apprise shows.
SHOWN_PATH, SHOWN_HOST = ("json", "jsons", "xml", "xmls", "form", "forms"), ("ntfy", "ntfys")


class Undelivered(RuntimeError):
    """Says why a message could not be delivered, without a secret."""


@dataclass(frozen=True)
class Channel:
    """A way to reach somebody."""

    #: The address with its secrets masked; another one of the same name has a number behind it.
    name: str
    address: str

    def send(self, title: str, text: str) -> None:
        """Deliver a message; raise Undelivered."""
        import apprise

        problems = _Problems()
        logger = logging.getLogger("apprise")
        before = logger.propagate
        logger.addHandler(problems)
        # What it says of its own may hold the address.
        logger.propagate = False
        try:
            services = apprise.Apprise()
            is_added = services.add(self.address)
            most = min((service.body_maxlen for service in services), default=0) - len(title) - len(CUT)
            is_sent = is_added and services.notify(body=_cut(text, most), title=title, body_format="text")
        except Exception as error:  # noqa: BLE001 - a hundred services fail in ways of their own, and all are told
            raise Undelivered(f"{self.name}: {self._clean(f'{type(error).__name__}: {error}')}") from None
        finally:
            logger.removeHandler(problems)
            logger.propagate = before
        if not is_sent:
            raise Undelivered(f"{self.name}: {self._clean('; '.join(problems.told)) or 'it was not accepted'}")

    def _clean(self, told: str) -> str:
        """Return what was said without secrets of the address."""
        words = re.split(r"[/?&=@:,#]", self.address.partition("://")[2])
        forms = {form for word in words for form in (word, unquote(word), quote(unquote(word), safe=""))}
        hidden = {form for form in forms if len(form) >= LEAST_SECRET}
        for word in sorted(hidden - _plain(self.address), key=len, reverse=True):
            told = told.replace(word, "****")
        return " ".join(told.split())[:300]


def _cut(text: str, most: int) -> str:
    """Return as many of the first lines of a text as a service takes: it would refuse a longer one each time."""
    if len(text) <= most:
        return text
    cut = text[: max(most, 0)]
    return (cut.rpartition("\n")[0] or cut) + CUT


def _plain(address: str) -> set[str]:
    """Return the words of an address that are none of its secrets: those that its masked form shows."""
    host = urlsplit(address).hostname or ""
    return {host} if "." in host or host == "localhost" else set()


class _Problems(logging.Handler):
    """Collects what Apprise says of a failure."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.told.append(record.getMessage())


def channels(settings: Any, environment: Mapping[str, str] = os.environ) -> list[Channel]:
    """Return the channels that are named in ALERTS, in the environment, or in a file that the environment names.

    Addresses are separated by white space; a line of the file that begins with # is a remark. Raises ValueError, which
    shows no secret, for one that Apprise does not know, and if the file cannot be read.
    """
    given = settings["ALERTS"]
    addresses = given.split() if isinstance(given, str) else list(given or ())
    addresses += environment.get("NEWSARCHIVE_ALERTS", "").split()
    if file := environment.get("NEWSARCHIVE_ALERTS_FILE"):
        addresses += _listed(file)
    names: Counter[str] = Counter()
    found = []
    for number, address in enumerate(addresses, 1):
        name = _masked(address, number)
        names[name] += 1
        found.append(Channel(name if names[name] == 1 else f"{name} ({names[name]})", address))
    return found


def _listed(file: str) -> list[str]:
    """Return the addresses in a file; raise ValueError."""
    try:
        lines = Path(file).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ValueError(f"NEWSARCHIVE_ALERTS_FILE names {file}, which cannot be read: {why}") from None
    return [address for line in lines if not line.lstrip().startswith("#") for address in line.split()]


def _masked(address: str, number: int) -> str:
    """Return an address without its secrets; raise ValueError if it is none."""
    import apprise

    logger = logging.getLogger("apprise")
    before = logger.disabled
    # What it says of an address that it does not know holds the address.
    logger.disabled = True
    try:
        service = apprise.Apprise.instantiate(address, suppress_exceptions=True)
    finally:
        logger.disabled = before
    if service is None:
        kind = address.partition("://")[0] if "://" in address else ""
        told = f" of the kind {kind!r}" if re.fullmatch(r"[a-z0-9]{1,20}", kind) else ""
        raise ValueError(f"alert address {number}{told} is none that Apprise knows: see the list of Apprise's services")
    masked = str(service.url(privacy=True))
    return _without_path(*masked.split("?", 1))


def _without_path(masked: str, options: str = "") -> str:
    """Return a masked address without what stands in place of a secret where a service has none of its own."""
    kind, _, rest = masked.partition("://")
    host, _, path = rest.partition("/")
    if kind in SHOWN_HOST:
        # Who knows a topic can read it. At the service's own host, it stands in the host's place.
        return f"{kind}://****" if "mode=cloud" in options else f"{kind}://{host}/****"
    return f"{kind}://{host}/****" if kind in SHOWN_PATH and path else masked
