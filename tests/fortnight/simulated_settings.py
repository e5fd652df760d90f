"""The project's settings, but all connections lead to the press, and the time is simulated."""

from newsarchive.settings import *  # noqa: F403
from newsarchive.settings import DOWNLOAD_HANDLERS

DOWNLOAD_HANDLERS = {**DOWNLOAD_HANDLERS, **dict.fromkeys(("http", "https"), "tests.fortnight.wired.Wired")}
# A process beside the crawl is not known to the coordinator.
READ_PROCESS = False
