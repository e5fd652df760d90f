"""How an archive is, told: on a screen, in JSON, as a page, as a chart of its days, and as metrics.

All of it says what one ``Overview`` holds, which is made of what ``newsarchive.health`` finds. Nothing of it looks at
the clock or the archive again: the same overview is told in the same bytes.
"""

from newsarchive.status.as_json import as_json
from newsarchive.status.chart import chart
from newsarchive.status.days import Days
from newsarchive.status.metrics import metrics
from newsarchive.status.overview import Held, Overview, Trouble, overview
from newsarchive.status.page import page
from newsarchive.status.text import show

__all__ = ["Days", "Held", "Overview", "Trouble", "as_json", "chart", "metrics", "overview", "page", "show"]
