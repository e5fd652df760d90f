"""Who is told what is wrong: one message when something breaks, one if it is still broken a day later, one when it is
well again.

What has been told to whom is kept in ``alerts.json`` in the archive. A message that could not be delivered is due
again after the next run; a message may come twice if its sender is killed, and is never lost.
"""

from newsarchive.alerts.channel import Channel, Undelivered, channels
from newsarchive.alerts.memory import Memory, Open, Topic
from newsarchive.alerts.message import Event, message
from newsarchive.alerts.telling import Told, open_since, remembered, tell

__all__ = [
    "Channel",
    "Event",
    "Memory",
    "Open",
    "Told",
    "Topic",
    "Undelivered",
    "channels",
    "message",
    "open_since",
    "remembered",
    "tell",
]
