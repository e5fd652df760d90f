"""The download handler of crawls in simulated time: it asks the press, whose port is in the environment."""

import os

import simulated_process
from scrapy.utils.misc import load_object

from newsarchive.settings import DOWNLOAD_HANDLERS
from tests.press.wire import wired

__all__ = ["Wired"]

Wired = wired(load_object(DOWNLOAD_HANDLERS["https"]), int(os.environ["PRESS_PORT"]), simulated_process.LINK)
