"""The index: what the archive holds, in SQLite; the commit of its transaction is what "stored" means.

Everything in it follows from the captures and is rebuilt from them; it is never
the only copy of anything. Of each capture it keeps what the capture was last
recorded to say, and every table follows from that: in whatever order captures
are recorded, how often, and by how many processes, the tables end up equal.

Three rules say what follows:

- An article's captures, in the order of (captured, file, offset), fall into
  groups that read alike. A revision is the first capture of a group, and the
  post is made from the newest. The post's name is the one that the reading of
  the article's first capture gives.
- Recorded again, a capture says what it says now. If it said something of an
  article before and says nothing now, that reading is withdrawn: it no longer
  counts, unless none is left that does. So a parser that learns to refuse a
  notice brings back the text that the notice had replaced, and a parser that
  got worse removes no article.
- An address belongs to the article of the newest reading that asked for it, or
  named it as canonical; if there is none, to that of the newest that named it
  as its twin in another script. Its ending is that of its newest capture.

Articles are related by what they show: where sketches of their texts say so
(``newsarchive.likeness``). That is looked up, and recorded nowhere.

The one table of facts is ``captures``: a row per capture with its reading, and
three marks that follow from the others (``first``, ``revision``, ``shown``).
``articles``, ``revisions`` and ``addresses`` are views of it, so they cannot
say anything else. What does not follow from captures is what lies on disk:
``sha256``, ``lies`` and ``outdated``, in the row of the capture of which the
article's post was made.
"""

from newsarchive.index.database import Index
from newsarchive.index.facts import (
    NO_INDEX,
    AddressRow,
    ArticleRow,
    Entry,
    Holdings,
    IndexUnusable,
    Place,
    PostTaken,
    Reading,
    ReadRow,
    RelatedRow,
    RevisionRow,
    RunRow,
    TwinTaken,
)
from newsarchive.index.row import Row

__all__ = [
    "NO_INDEX",
    "AddressRow",
    "ArticleRow",
    "Entry",
    "Holdings",
    "Index",
    "IndexUnusable",
    "Place",
    "PostTaken",
    "ReadRow",
    "Reading",
    "RelatedRow",
    "RevisionRow",
    "Row",
    "RunRow",
    "TwinTaken",
]
