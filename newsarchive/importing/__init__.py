"""Existing archives taken over: where their files lie, what each is, and how it is kept."""

from newsarchive.importing.candidate import Candidate, Taken
from newsarchive.importing.importer import Importer
from newsarchive.importing.report import Report
from newsarchive.importing.sources import NotThere, files, size

__all__ = ["Candidate", "Importer", "NotThere", "Report", "Taken", "files", "size"]
