"""Who tells of an article beside its pages: feeds, posts of other archives, items of full-text feeds."""

from newsarchive.capture import NO_RESPONSES
from newsarchive.index.facts import Entry, Reading
from newsarchive.index.questions import Questions
from newsarchive.index.row import as_text, as_utf8, weight
from newsarchive.index.schema import PARTIAL

__all__ = ["ADOPTED", "Telling"]

#: Kinds of captures that say of an article what pages say of it, without its id.
ADOPTED = ("item", "post")
#: Articles of which only a feed could be read so far, of those at some addresses, or at such as redirect there.
FED = f"""WITH RECURSIVE known(url) AS (
 VALUES (?2), (?4), (?5)
 UNION SELECT captures.url FROM known JOIN captures
 ON captures.target = known.url AND captures.target <> '' AND captures.publisher = ?1
) SELECT DISTINCT id FROM captures WHERE publisher = ?1 AND {PARTIAL}
 AND (id = ?3 OR url IN (SELECT url FROM known) OR canonical IN (SELECT url FROM known)) ORDER BY id"""
NO_PAGES = ", ".join(map(repr, NO_RESPONSES))
#: Articles of which pages at an address were read, or at such as it redirects to.
AHEAD = f"""WITH RECURSIVE ahead(url) AS (
 VALUES (?2) UNION SELECT target FROM ahead JOIN captures USING (url) WHERE target <> '' AND publisher = ?1
) SELECT DISTINCT id FROM captures WHERE publisher = ?1 AND reads > 0 AND kind NOT IN ({NO_PAGES})
 AND (url IN (SELECT url FROM ahead) OR canonical IN (SELECT url FROM ahead)) ORDER BY id"""
#: Whether more than posts and items tell of an article.
OTHERWISE = f"SELECT 1 FROM captures WHERE publisher = ?1 AND id = ?2 AND kind NOT IN {ADOPTED}"
#: Whether a page says that an article was published in a given minute.
PUBLISHED = f"""SELECT 1 FROM captures WHERE publisher = ?1 AND id = ?2 AND kind NOT IN ({NO_PAGES})
 AND substr(published, 1, 16) = substr(?3, 1, 16)"""
#: What tells of articles at some addresses, or at such as redirect there.
TOLD = """WITH RECURSIVE known(url, moved) AS (
 VALUES (?2, ?4), (?3, ?4)
 UNION SELECT captures.url, 1 FROM known JOIN captures
 ON captures.target = known.url AND captures.target <> '' AND captures.publisher = ?1
), told AS (
 SELECT publisher, id, kind, moved, published FROM known JOIN captures USING (url) WHERE reads IN (1, 2)
 UNION SELECT publisher, id, kind, moved, published FROM known JOIN captures ON canonical = known.url
 WHERE reads IN (1, 2)
)"""
#: Whether anything might: posts and items at an address, and redirects to it.
ANY_TOLD = f"""SELECT EXISTS (SELECT 1 FROM captures WHERE target = ?1 AND target <> '')
 OR EXISTS (SELECT 1 FROM captures WHERE url = ?1 AND reads > 0 AND kind IN {ADOPTED})
 OR EXISTS (SELECT 1 FROM captures WHERE canonical = ?1 AND reads > 0 AND kind IN {ADOPTED})"""
#: Other ids under which only posts and items tell of an article. Of those at addresses that redirect, these only that
#: were published in the same minute: old addresses may all lead to one new page.
TOLD_OF = f"""{TOLD} SELECT DISTINCT id FROM told WHERE publisher = ?1 AND id <> ?5 AND kind IN {ADOPTED}
 AND (NOT moved OR substr(published, 1, 16) = substr(?6, 1, 16)
 OR EXISTS ({PUBLISHED.replace("?2", "?5").replace("?3", "told.published")}))
 AND NOT EXISTS ({OTHERWISE.replace("?2", "told.id")}) ORDER BY id"""


class Telling(Questions):
    """Answers which articles are one, as far as addresses, redirects and times of publication tell."""

    def _page_read(self, reading: Reading, url: str) -> bool:
        """Tell whether a page was read of an article of which a feed tells at an address."""
        at = (row for address in {url, reading.url} if (row := self.address(as_utf8(address))))
        ids = {as_utf8(reading.id), *(row.id for row in at if row.publisher == reading.publisher)}
        sql = "SELECT 1 FROM captures WHERE publisher = ? AND id = ? AND kind <> 'entry' LIMIT 1"
        # Or one that is in the index in another script.
        twin = "SELECT 1 FROM captures WHERE url = ? AND reads = 0 AND ending = 'twin' LIMIT 1"
        return any(self._one(sql, reading.publisher, id) for id in ids) or bool(self._one(twin, as_utf8(url)))

    def _leads_to_page(self, entry: Entry) -> bool:
        """Tell whether a redirect leads to an article of which a page was read."""
        row = self.address(entry.target)
        article = self.article(row.publisher, row.id) if row and row.publisher == entry.publisher else None
        return bool(article and not article.partial)

    def _told_by_feeds(self, publisher: str, url: str, reading: Reading | None = None) -> list[str]:
        """Return the ids under which only feeds told of the article at an address."""
        if not self._one(f"SELECT 1 FROM captures WHERE publisher = ? AND {PARTIAL} LIMIT 1", publisher):
            return []
        named = (reading.id, reading.url, reading.twin or url) if reading else ("", url, url)
        return [id for (id,) in self._all(FED, publisher, as_utf8(url), *map(as_utf8, named))]

    def _adopting(self, entry: Entry) -> dict[str, list[str]]:
        """Return under which other ids posts and items tell of what a page reads as, or a redirect leads to, by id."""
        url, reading = as_utf8(entry.capture.url), entry.reading
        named = as_utf8(reading.url) if reading else url
        # So it is with almost all pages, and with almost all redirects: these may lead to a listing with thousands of
        # captures.
        if not any(self._one(ANY_TOLD, address)[0] for address in {url, named}):
            return {}
        if reading:
            asked = [(url, named, 0, as_utf8(reading.id), as_text(reading.published))]
        else:
            asked = [(url, url, 1, id, "") for id in self._ahead(entry.publisher, entry.target)]
        told = {values[3]: [id for (id,) in self._all(TOLD_OF, entry.publisher, *values)] for values in asked}
        return {id: others for id, others in told.items() if others}

    def _adopter(self, entry: Entry, reading: Reading) -> str:
        """Return the id of the article of which a post or an item tells under another; empty if no page does.

        Pages at its address read as that article, or pages to which it redirects, and which were published as it was.
        """
        addresses = [as_utf8(url) for url in sorted({entry.capture.url, reading.url})]
        page = max((row for url in addresses if (row := self._read(url))), key=weight, default=None)
        if page and page.publisher == entry.publisher and page.id != as_utf8(reading.id):
            return str(page.id)
        ahead = [id for url in addresses for id in self._ahead(entry.publisher, url) if id != as_utf8(reading.id)]
        published = as_text(reading.published)
        return next((id for id in ahead if self._one(PUBLISHED, entry.publisher, id, published)), "")

    def _only_told(self, publisher: str, id: str) -> bool:
        """Tell whether nothing but posts and items tells of an article, if anything does."""
        return not self._one(OTHERWISE, publisher, as_utf8(id))

    def _ahead(self, publisher: str, url: str) -> list[str]:
        """Return the ids of articles of which pages were read at an address, or at such as it redirects to."""
        return [id for (id,) in self._all(AHEAD, publisher, as_utf8(url))]
