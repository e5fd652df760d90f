"""Where the post of an article lies."""

from pathlib import PurePosixPath

from newsarchive.article import Article
from newsarchive.naming import named

__all__ = ["path"]


def path(article: Article) -> PurePosixPath:
    """Return where an article's post lives in the archive: it depends on publisher, id and day alone."""
    return named(article.publisher, article.id, article.published, article.suffix)
