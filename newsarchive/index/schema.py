"""The tables of the index, and the SQL that more than one question needs."""

import re

from newsarchive.capture import NO_RESPONSES
from newsarchive.index.likeness import INDEXES
from newsarchive.index.row import Row

__all__ = [
    "APPLICATION",
    "BEST",
    "COLUMNS",
    "NAMES",
    "NEWEST",
    "PAGELESS",
    "PARTIAL",
    "SCHEMA",
    "SELECT",
    "STALE",
    "UPSERT",
    "VERSION",
]

#: "news" in ASCII: what SQLite keeps in a file to tell whose it is.
APPLICATION = 0x6E657773
VERSION = 1

#: What is true of the capture that an article shows if the post on disk is not known to be made of it as it reads now.
STALE = "shown = 1 AND reads = 2 AND (sha256 IS NULL OR lies IS NOT NULL OR outdated = 1)"

#: What is true of a capture that is no response: it says nothing of what a server has at its address.
PAGELESS = f"kind IN ({', '.join(map(repr, NO_RESPONSES))})"
#: What is true of a capture that says of an article what a feed says of it, as long as no page of it could be read.
PARTIAL = "kind = 'entry' AND reads > 0"

SCHEMA = (
    """CREATE TABLE captures (
 file TEXT NOT NULL, offset INTEGER NOT NULL, url TEXT NOT NULL, captured TEXT NOT NULL, status INTEGER NOT NULL,
 digest TEXT NOT NULL, kind TEXT NOT NULL, announced TEXT,
 publisher TEXT NOT NULL, ending TEXT NOT NULL, target TEXT NOT NULL,
 id TEXT, canonical TEXT, twin TEXT, title TEXT, published TEXT, post TEXT, fingerprint TEXT, sketch BLOB,
 reads INTEGER NOT NULL,
 first INTEGER NOT NULL, revision INTEGER NOT NULL, shown INTEGER NOT NULL,
 sha256 BLOB, lies TEXT, outdated INTEGER NOT NULL,
 PRIMARY KEY (file, offset),
 CHECK ((id IS NULL) = (reads = 0)),
 CHECK (reads > 0 OR NOT (first OR revision OR shown OR outdated)),
 CHECK (sha256 IS NOT NULL OR NOT (lies IS NOT NULL OR outdated))
) STRICT""",
    "CREATE INDEX by_url ON captures (url, reads, captured)",
    "CREATE INDEX by_canonical ON captures (canonical, reads, captured) WHERE canonical IS NOT NULL",
    "CREATE INDEX by_twin ON captures (twin, reads, captured) WHERE twin IS NOT NULL",
    "CREATE INDEX by_article ON captures (publisher, id, reads, captured) WHERE id IS NOT NULL",
    "CREATE INDEX by_target ON captures (target) WHERE target <> ''",
    "CREATE INDEX by_lies ON captures (lies) WHERE lies IS NOT NULL",
    "CREATE UNIQUE INDEX shown ON captures (publisher, id) WHERE shown = 1",
    "CREATE UNIQUE INDEX named ON captures (post) WHERE first = 1",
    "CREATE INDEX by_first ON captures (publisher, captured) WHERE first = 1",
    f"CREATE INDEX partial ON captures (publisher, id) WHERE {PARTIAL}",
    f"CREATE INDEX stale ON captures (publisher, id) WHERE {STALE}",
    *INDEXES,
    "CREATE TABLE files (file TEXT NOT NULL PRIMARY KEY, size INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    """CREATE TABLE runs (
 run TEXT NOT NULL PRIMARY KEY, publisher TEXT NOT NULL, started TEXT NOT NULL, ended TEXT, status TEXT NOT NULL,
 counts TEXT NOT NULL
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE coverage (
 publisher TEXT NOT NULL, start TEXT NOT NULL, "end" TEXT NOT NULL, run TEXT NOT NULL, source TEXT NOT NULL,
 PRIMARY KEY (publisher, start, "end", run, source)
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX by_run ON coverage (run)",
    """CREATE VIEW articles AS
 SELECT shown.publisher, shown.id, coalesce(shown.canonical, shown.url) AS url, shown.title, shown.published,
 named.post, shown.file, shown.offset, shown.reads = 1 AS withdrawn, shown.kind = 'entry' AS partial
 FROM captures AS shown JOIN captures AS named
 ON named.publisher = shown.publisher AND named.id = shown.id AND named.first = 1 WHERE shown.shown = 1""",
    """CREATE VIEW revisions AS
 SELECT publisher, id, captured, file, offset, coalesce(canonical, url) AS url, title, published, fingerprint
 FROM captures WHERE revision = 1""",
    f"""CREATE VIEW addresses AS
 WITH named AS (
 SELECT url, reads, captured, file, offset, publisher, id, 2 * (reads > 0) AS rank FROM captures
 UNION ALL
 SELECT canonical, reads, captured, file, offset, publisher, id, 2 FROM captures WHERE canonical IS NOT NULL
 UNION ALL
 SELECT twin, reads, captured, file, offset, publisher, id, 1 FROM captures WHERE twin IS NOT NULL
 ), best AS (
 SELECT *, row_number() OVER (
 PARTITION BY url ORDER BY rank DESC, reads DESC, captured DESC, file DESC, offset DESC
 ) AS place FROM named
 ), newest AS (
 SELECT *, row_number() OVER (PARTITION BY url ORDER BY captured DESC, file DESC, offset DESC) AS place FROM captures
 WHERE NOT {PAGELESS}
 )
 SELECT best.url, coalesce(newest.ending, '') AS ending, newest.captured, coalesce(newest.target, '') AS target,
 iif(best.id IS NULL, '', best.publisher) AS publisher, coalesce(best.id, '') AS id
 FROM best LEFT JOIN newest ON newest.url = best.url AND newest.place = 1 WHERE best.place = 1""",
)
NAMES = {re.split(r"[ (]+", statement.replace("UNIQUE ", ""))[2] for statement in SCHEMA}

COLUMNS = ", ".join(Row._fields)
SELECT = f"SELECT {COLUMNS} FROM captures"
BEST = "ORDER BY reads DESC, captured DESC, file DESC, offset DESC LIMIT 1"
NEWEST = "ORDER BY captured DESC, file DESC, offset DESC LIMIT 1"
UPSERT = (
    f"INSERT INTO captures ({COLUMNS}) VALUES ({', '.join('?' * len(Row._fields))}) ON CONFLICT (file, offset) "
    f"DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in Row._fields[2:])}"
)
