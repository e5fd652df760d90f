"""Posts under the names that older writers gave them: ``_posts/<day>-<title>.md``.

Such a name is made of the title, so it may be another article's as well, or what
a file system does not take. The article that was captured first gets it; another
one has its id appended, so that both are kept, under the same names every time.
"""

import errno
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import Literal, Self
from unicodedata import normalize

from newsarchive.export.holding import Holding, Selection, State
from newsarchive.export.reading import Unread, read_article
from newsarchive.export.rows import Failure
from newsarchive.files import DRAFTS, Drafts, make_folder, sweep
from newsarchive.index import Index, Row
from newsarchive.post import Post, Unreadable, content_of, read_bytes, render_bytes
from newsarchive.reading import Reader
from newsarchive.spelling import WHITE_SPACE, escape_braces, well_formed
from newsarchive.warc.reader import record_at

__all__ = ["Form", "Made", "PostFolder", "by_age", "made_posts", "old_name", "reformed"]

Form = Literal["front", "bare"]
#: UTF-16 units after which titles were cut.
UNITS = 50
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
#: Kinds of captures that say what their post is to the byte: only the post has the title as it was.
TAKEN_OVER = ("post", "item")
#: Bytes of a name.
MOST_NAME = 255
#: What a file system says of a name that it cannot hold.
NO_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)
#: Posts, and bytes of them, that are synced together.
MOST_POSTS, MOST_BYTES = 500, 16 << 20


def old_name(title: str, published: datetime) -> str:
    """Return the name of a post's file as older writers made it; it holds no separator and no control character."""
    title = CONTROL.sub("", title).replace('"', '\\"').replace("...", "", 1)
    cut = title.encode("utf-16-le", "surrogatepass")[: 2 * UNITS].decode("utf-16-le", "replace")
    return f"{published.astimezone(UTC).isoformat()[:10]}-{cut}.md".replace("/", "--")


def reformed(post: Post, form: Form, label: str, url: str, published: datetime) -> Post:
    """Return a post in another form; address and time are for one that does not say them, the label signs it."""
    # The link line is the same in both; all else is spelled as we spell it.
    written = {name: text for name, text in post.written.items() if name == "link"}
    signed: tuple[str, ...] = (label,) if form == "front" else ()
    body = post.body
    if post.form == "feed":
        # There it stands alone; here a blank line would end it, and Liquid may be on.
        body = escape_braces(" ".join(body.split("\n")))
    return Post(
        form=form,
        title=post.title,
        published=post.published or published,
        url=post.url or url,
        author="".join(signed),
        tags=signed,
        categories=signed,
        body=body,
        written=written,
    )


@dataclass(frozen=True, slots=True)
class Made:
    """A post to be exported."""

    holding: Holding
    state: State
    #: Its name as older writers made it.
    name: str
    content: bytes


def by_age(index: Index, selection: Selection) -> Iterator[Holding | None]:
    """Yield the articles in the order of their first captures; None for one that is not asked for."""
    # More than memory should hold; on disk without a name.
    with closing(sqlite3.connect("", isolation_level=None)) as queue:
        queue.execute("CREATE TABLE ages (captured, publisher, file, offset, id)")
        for publisher in selection.publishers:
            found = ((captured, publisher, *rest) for captured, *rest in index.ages(publisher))
            queue.executemany("INSERT INTO ages VALUES (?, ?, ?, ?, ?)", found)
        for publisher, id in queue.execute("SELECT publisher, id FROM ages ORDER BY captured, publisher, file, offset"):
            if line := index.line(publisher, id):
                yield selection.chosen(line)


def made_posts(
    archive: Path, holding: Holding, selection: Selection, reader: Reader, form: Form
) -> Iterator[Made | Failure]:
    """Yield the posts of an article's revisions, the newest first."""
    for state in reversed(selection.states(holding)):
        try:
            yield _made(archive, holding, state, reader, form)
        except (OSError, ValueError) as error:
            yield Failure(*holding.key, state.number, str(error))


def _made(archive: Path, holding: Holding, state: State, reader: Reader, form: Form) -> Made:
    """Return the post of a revision; raise OSError or ValueError if it cannot be had."""
    row, published = state.row, datetime.fromisoformat(str(state.row.published))
    content = _content(archive, holding, state, reader)
    if form == "front" and row.kind not in TAKEN_OVER:
        return Made(holding, state, old_name(str(row.title), published), content)
    try:
        post = read_bytes(content)
    except Unreadable as error:
        raise ValueError(f"{archive / holding.post}: {error}") from error
    name = old_name(post.title, post.published or published)
    if post.form != form:
        label = reader.label(row.publisher) or row.publisher
        content = render_bytes(reformed(post, form, label, row.canonical or row.url, published))
    elif row.kind == "post" and (form == "bare" or _is_faded(post)):
        name = _former_name(archive, row, form, name)
    return Made(holding, state, name, content)


def _is_faded(post: Post) -> bool:
    """Tell whether the title began or ended with white space, of which a post does not tell which it was."""
    title = post.written.get("title", f'"{post.title}"')[1:-1]
    return title != title.strip(WHITE_SPACE)


def _former_name(archive: Path, row: Row, form: Form, name: str) -> str:
    """Return the name that the file of another archive's post had, if it is one of the older ones; else ``name``."""
    fields = record_at(archive / row.file, row.offset)
    former = PurePosixPath(fields.get("x-newsarchive-source", "")).name
    if len(former.encode()) > MOST_NAME or CONTROL.search(former):
        return name
    # Those of bare posts begin with numbers, which nothing else tells.
    numbered = form == "bare" and re.fullmatch(r"\d+_.*\.md", former, re.ASCII)
    return former if numbered or _bones(former) == _bones(name) else name


def _bones(name: str) -> str:
    """Return a name without its white space."""
    return "".join(name.split())


def _content(archive: Path, holding: Holding, state: State, reader: Reader) -> bytes:
    """Return the bytes of a revision's post: from its file if that is sure to be it, or else made of its capture."""
    row, made = state.row, holding.made
    # That of an article that no capture reads as any more stays as it is.
    stays = holding.withdrawn and state is holding.states[-1]
    if made and (stays or (made.key == row.key and not made.outdated)):
        file = archive / holding.lies
        # A crawl may just have replaced it.
        if file.is_file() and sha256(content := file.read_bytes()).digest() == made.sha256:
            return content
    article = read_article(reader, archive, (row.publisher, str(row.id), row.capture))
    if isinstance(article, Unread):
        raise ValueError(article.problem)
    return content_of(article, reader.label(row.publisher) or row.publisher)


class PostFolder:
    """The folder that posts are exported to; files that are there stay, unless they are the same article's.

    Use it in a ``with`` statement, and ``settle`` it at the end.
    """

    def __init__(self, folder: Path, index: Index) -> None:
        self.folder, self.index = folder, index
        self.counts: Counter[str] = Counter()
        self.drafts = Drafts()
        self.posts, self.bytes = 0, 0
        self.names = sqlite3.connect("", isolation_level=None)
        self.names.execute("CREATE TABLE names (name BLOB PRIMARY KEY) WITHOUT ROWID")

    def __enter__(self) -> Self:
        """Make the folder, and remove what an export that was killed has left."""
        make_folder(self.folder)
        sweep(self.folder, DRAFTS)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the drafts that have no name yet."""
        self.drafts.__exit__()
        self.names.close()

    def put(self, made: Made) -> str:
        """Write a post unless it is there, safe after ``settle``; return why it has another name, if it has one."""
        why = ""
        for name in _names(made):
            problem, ending = self._problem(name, made)
            if problem:
                why = why or f"{name}: {problem}"
                continue
            self.counts[ending] += 1
            if ending != "unchanged":
                self._write(self.folder / name, made.content)
            if why:
                self.counts["renamed"] += 1
                why += f"; it is {name}"
            return why
        raise AssertionError("names do not end")

    def settle(self) -> None:
        """Make safe what was written; raise OSError."""
        self.drafts.settle()
        self.posts = self.bytes = 0

    def _problem(self, name: str, made: Made) -> tuple[str, str]:
        """Return why a post cannot have a name, or what it comes to there: new, changed or unchanged."""
        file = self.folder / name
        try:
            mode = file.lstat().st_mode
        except FileNotFoundError:
            return ("", "new") if self._reserve(name) else (TAKEN, "")
        except OSError as error:
            if error.errno not in NO_NAME:
                raise
            return f"no name for this file system: {error.strerror}", ""
        if not S_ISREG(mode):
            return "there is something else of this name", ""
        if not self._is_free(name):
            return TAKEN, ""
        there = file.read_bytes()
        if there != made.content and self._owner(there) != made.holding.key:
            return "there is a file of this name that is not this article's", ""
        self._reserve(name)
        return "", "unchanged" if there == made.content else "changed"

    def _reserve(self, name: str) -> bool:
        """Take a name for a post of this export; tell whether it was free."""
        return self.names.execute("INSERT OR IGNORE INTO names VALUES (?)", (_key(name),)).rowcount == 1

    def _is_free(self, name: str) -> bool:
        return not self.names.execute("SELECT 1 FROM names WHERE name = ?", (_key(name),)).fetchone()

    def _owner(self, content: bytes) -> tuple[str, str] | None:
        """Return publisher and id of the article that a post is of; None if it is none that the index knows."""
        try:
            url = read_bytes(content).url
        except Unreadable:
            return None
        address = self.index.address(url)
        return (address.publisher, address.id) if address else None

    def _write(self, file: Path, content: bytes) -> None:
        self.drafts.write(file, content)
        self.posts, self.bytes = self.posts + 1, self.bytes + len(content)
        if self.posts >= MOST_POSTS or self.bytes >= MOST_BYTES:
            self.settle()


TAKEN = "another post of this export has this name"


def _names(made: Made) -> Iterator[str]:
    """Yield the names that a post may have: the old one, and others that say whose it is."""
    yield made.name
    id = PurePosixPath(made.holding.post).stem[len("2023-01-12-") :]
    own = f"{id}.{made.state.number}" if made.state is not made.holding.states[-1] else id
    stem = made.name.removesuffix(".md")
    yield f"{stem}-{own}.md"
    # What follows a title may be the end of another's; a short name is one for every file system.
    yield f"{stem[:10]}-{own}.md"
    yield from (f"{stem[:10]}-{own}.{number}.md" for number in count(2))


def _key(name: str) -> bytes:
    """Return what is the same for names that some file systems take for one."""
    return sha256(normalize("NFC", normalize("NFC", well_formed(name)).casefold()).encode()).digest()[:16]
