"""What came of taking an archive over, counted and in words."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date
from hashlib import blake2b

from newsarchive.article import Refused
from newsarchive.importing.candidate import Taken

__all__ = ["Report", "printable"]

#: Files that are named; of all others, the number is told.
SHOWN = 50


def printable(text: str) -> str:
    """Return text from outside as it can be shown on one line of a terminal."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


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
    #: Posts that are written back to the same bytes, and those that are not.
    same: int = 0
    others: list[str] = field(default_factory=list)
    #: Files that were refused, by reason, and the first of them.
    refused: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)
    #: Posts whose front matter no reader of YAML takes for what it means; that is spelled anew.
    mended: list[str] = field(default_factory=list)
    #: Files that are no posts, or not of the publishers asked for.
    left_out: Counter[str] = field(default_factory=Counter)
    #: Articles met, as hashes: there may be millions.
    met: set[int] = field(default_factory=set)

    def take(self, taken: Taken) -> None:
        """Count a post that was read."""
        article = taken.article
        publisher = self.publishers[article.publisher]
        publisher.posts += 1
        publisher.forms[taken.form] += 1
        publisher.days.add(taken.captured.date())
        key = f"{article.publisher}\n{article.id}".encode("utf-8", "surrogatepass")
        mark = int.from_bytes(blake2b(key, digest_size=8).digest(), "big")
        publisher.duplicates += mark in self.met
        self.met.add(mark)
        if taken.same:
            self.same += 1
        else:
            self.others.append(taken.name)

    def refuse(self, name: str, refusal: Refused) -> None:
        """Count a file that is not taken over, and keep its name."""
        self.refused[refusal.reason] += 1
        if len(self.named) < SHOWN:
            self.named.append(f"REFUSED {printable(name)}: {printable(str(refusal))}")

    def mend(self, name: str) -> None:
        """Note a post that is captured to the byte, but must not lie in a site as it is."""
        self.mended.append(name)

    def lines(self) -> list[str]:
        """Return what is to be told."""
        told = []
        for name, publisher in sorted(self.publishers.items()):
            forms = ", ".join(f"{count} {form}" for form, count in sorted(publisher.forms.items()))
            span = f"{min(publisher.days)} to {max(publisher.days)}, {len(publisher.days)} days with any"
            articles = publisher.posts - publisher.duplicates
            told.append(f"{name}: {publisher.posts} posts ({forms}) of {articles} articles, {span}")
            if publisher.endings:
                endings = ", ".join(f"{count} {ending}" for ending, count in sorted(publisher.endings.items()))
                told.append(f"{name}: {endings}")
        read = self.same + len(self.others)
        told.append(f"{self.same} of {read} posts are written back to the same bytes")
        told += [
            f"OTHERWISE {printable(name)}: is kept as it is, but not understood to the byte"
            for name in self.others[:SHOWN]
        ]
        if self.mended:
            why = "its front matter is spelled anew, as sites would show neither title nor date"
            told.append(f"{len(self.mended):6}  yaml: {why}")
            told += [f"MENDED {printable(name)}" for name in self.mended[:SHOWN]]
        told += [f"{count:6}  left out: {why}" for why, count in sorted(self.left_out.items())]
        told += [f"{count:6}  refused: {reason}" for reason, count in sorted(self.refused.items())]
        told += self.named
        if (more := self.refused.total() - len(self.named)) > 0:
            told.append(f"REFUSED {more} more")
        return told
