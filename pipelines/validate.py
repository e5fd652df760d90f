"""Refuses an article that must not be published, whatever its page looked like."""

from datetime import UTC, datetime

from newsarchive.address import canonical_url
from newsarchive.article import Article, Refused
from newsarchive.fragment import plain

#: Before the first of the three publishers had a site.
EARLIEST = datetime(1994, 1, 1, tzinfo=UTC)
#: Characters. Headlines have less than 200; Jekyll's own engine takes minutes over thousands of hostile ones.
LONGEST_TITLE = 1000


def is_web(url: str) -> bool:
    """Tell whether an address can stand in a post."""
    try:
        return bool(canonical_url(url))
    except ValueError:
        return False


def problems(article: Article) -> list[str]:
    """Return what is wrong with an article, as reasons to count; empty if nothing is."""
    checks = {
        "no-title": not article.title,
        "long-title": len(article.title) > LONGEST_TITLE,
        "no-id": not article.id,
        "no-body": not plain(article.body).strip(),
        "bad-url": not is_web(article.url),
        "bad-time": article.published.tzinfo is None or article.published < EARLIEST,
        "many-lines": any("\n" in value or "\r" in value for value in (article.title, article.body)),
    }
    return [problem for problem, found in checks.items() if found]


def validated(article: Article) -> Article:
    """Return the article; raise Refused with its first problem if it has any."""
    found = problems(article)
    if found:
        raise Refused(found[0], ", ".join(found))
    return article


class ValidatePipeline:
    """Lets through what may be published."""

    def process_item(self, item: Article) -> Article:
        """Return the article or raise Refused; one that is ready has been validated where it was read."""
        return item if item.ready else validated(item)
