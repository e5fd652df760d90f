"""What came of taking an archive over, counted and in words."""

import sqlite3
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date
from hashlib import blake2b

from newsarchive.article import Refused
from newsarchive.importing.candidate import Taken
from newsarchive.printable import printable

__all__ = ["Report"]

#: Files that are named; of all others, the number is told.
SHOWN = 50


@dataclass
class Publisher:
    """What was taken over of one publisher."""

    posts: int = 0
    forms: Counter[str] = field(default_factory=Counter)
    days: set[date] = field(default_factory=set)
    #: Posts of articles that have another one.
    duplicates: int = 0
    endings: Counter[str] = field(default_factory=Counter)


@dataclass
class Report:
    """Counts the files of an archive by what becomes of them."""

    publishers: dict[str, Publisher] = field(default_factory=lambda: defaultdict(Publisher))
    #: Posts that were read, and those among them that are written back to the same bytes.
    read: int = 0
    same: int = 0
    #: Posts whose front matter no reader of YAML takes for what it means; that is spelled anew.
    mended: int = 0
    #: Files that were refused, by reason.
    refused: Counter[str] = field(default_factory=Counter)
    #: Files that are no posts, or not of the publishers asked for.
    left_out: Counter[str] = field(default_factory=Counter)
    #: Articles met, as hashes; in a file that SQLite removes, as there may be millions.
    met: sqlite3.Connection = field(default_factory=lambda: sqlite3.connect(""))

    #: Lines about single files, the first of each kind.
    lines_of: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.met.execute("CREATE TABLE met (article INTEGER PRIMARY KEY)")

    def recognise(self, name: str, same: bool) -> None:
        """Count a file that is a post, and whether it is written back to the same bytes."""
        self.read += 1
        self.same += same
        if not same:
            self.name("OTHERWISE", name, "it is understood, but not to the byte")

    def take(self, taken: Taken) -> None:
        """Count a post that was read."""
        article = taken.article
        publisher = self.publishers[article.publisher]
        publisher.posts += 1
        publisher.forms[taken.form] += 1
        publisher.days.add(taken.captured.date())
        key = f"{article.publisher}\n{article.id}".encode("utf-8", "surrogatepass")
        mark = int.from_bytes(blake2b(key, digest_size=8).digest(), "big", signed=True)
        added = self.met.execute("INSERT OR IGNORE INTO met VALUES (?)", (mark,)).rowcount
        publisher.duplicates += not added
        if article.content != taken.content:
            self.mended += 1
            self.name(
                "MENDED", taken.name, "its front matter is spelled anew, as sites would show neither title nor date"
            )

    def end(self, publisher: str, ending: str) -> None:
        """Count how keeping a post of a publisher ended."""
        self.publishers[publisher].endings[ending] += 1

    def refuse(self, name: str, refusal: Refused) -> None:
        """Count a file that is not taken over."""
        self.refused[refusal.reason] += 1
        self.name("REFUSED", name, str(refusal))

    def name(self, what: str, name: str, why: str) -> None:
        """Keep a line about a file, unless there are many."""
        if len(self.lines_of[what]) < SHOWN:
            self.lines_of[what].append(f"{what} {printable(name)}: {printable(why)}")

    @property
    def is_empty(self) -> bool:
        """Tell whether there was no file that may be a post."""
        return not (self.read or self.refused or self.left_out)

    def lines(self) -> list[str]:
        """Return what is to be told."""
        if self.is_empty:
            return ["nothing there may be a post: no file is called .md, .markdown, .html or .txt"]
        told = []
        for name, publisher in sorted(self.publishers.items()):
            forms = ", ".join(f"{count} {form}" for form, count in sorted(publisher.forms.items()))
            span = f"{min(publisher.days)} to {max(publisher.days)}, {len(publisher.days)} days with any"
            articles = publisher.posts - publisher.duplicates
            told.append(f"{name}: {publisher.posts} posts ({forms}) of {articles} articles, {span}")
            if publisher.endings:
                endings = ", ".join(f"{count} {ending}" for ending, count in sorted(publisher.endings.items()))
                told.append(f"{name}: {endings}")
        told.append(f"{self.same} of {self.read} posts are written back to the same bytes")
        told += [f"{count:6}  left out: {why}" for why, count in sorted(self.left_out.items())]
        told += [f"{self.mended:6}  mended: yaml"] if self.mended else []
        told += [f"{count:6}  refused: {reason}" for reason, count in sorted(self.refused.items())]
        numbers = {"OTHERWISE": self.read - self.same, "MENDED": self.mended, "REFUSED": self.refused.total()}
        for what, number in numbers.items():
            told += self.lines_of[what]
            if (more := number - len(self.lines_of[what])) > 0:
                told.append(f"{what} {more} more")
        return told
