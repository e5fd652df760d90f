"""Articles of which the archive has no page, but a post that another archive had of it.

The post is captured to the byte, and stays the article's post as it is. Only where no reader
of YAML takes front matter for what it means, that is spelled anew: a site would show the
post without title and date, or not be built at all.
"""

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import yaml
from scrapy.http import Response

from newsarchive.article import Article, Refused
from newsarchive.post import Post, read_bytes, render, render_bytes
from newsarchive.post.front_matter import CLOSED, OPENED
from newsarchive.spelling import WHITE_SPACE, yaml_loader

if TYPE_CHECKING:
    from newsarchive.spider import PublisherSpider

__all__ = ["article_of", "is_sound"]

#: Fields of front matter that YAML may read as something else than the post means.
DOUBTFUL = frozenset(("title", "date", "author", "from", "tags", "categories", "head"))


def article_of(spider: "PublisherSpider", response: Response) -> Article:
    """Return the article of a post; raise Refused.

    A post says no more than its title, its address, its text, and when it was published; what it does not say of
    that, its capture does.
    """
    post = read_bytes(response.body)
    if not post.title.strip():
        raise Refused("no-title", "the post has none")
    assert response.request
    # A post that states no address was captured under its file's name.
    address = spider.known_address(post.url) if post.url else response.url
    sound = is_sound(post)
    if not sound and post.form == "feed":
        raise Refused("yaml", "its front matter is none, and nobody knows how to spell it anew")
    is_html = (response.headers.get("Content-Type") or b"").startswith(b"text/html")
    return spider.article(
        response,
        id=spider.known_id(address) if post.url else unquote(urlsplit(address).fragment),
        url=address,
        title=post.title,
        published=post.published or response.request.meta["captured"],
        body=" ".join(post.body.split("\n")),
        language=spider.language_at(address),
        content=response.body if sound else render_bytes(respelled(post)),
        ready=True,
        suffix=".html" if is_html else ".md",
    )


def respelled(post: Post) -> Post:
    """Return a post whose front matter is spelled as we spell it."""
    return replace(post, written={name: text for name, text in post.written.items() if name not in DOUBTFUL})


def is_sound(post: Post) -> bool:
    """Tell whether readers of YAML take the front matter of a post for what the post means."""
    # What has no ``from`` was read as YAML.
    if DOUBTFUL.isdisjoint(post.written) or (post.form == "feed" and "\nfrom:" not in post.written["head"]):
        return True
    text = render(replace(post, bom=False, newline="\n"))
    opened = OPENED.match(text)
    closed = CLOSED.search(text, opened.end()) if opened else None
    if not opened or not closed:
        return False
    head = text[opened.end() : closed.start()]
    try:
        told = yaml.load(head, yaml_loader(head))
    except (yaml.YAMLError, ValueError):
        return False
    return isinstance(told, dict) and _told(told.get("title")) == _told(post.title)


def _told(title: object) -> str:
    """Return a title as far as older writers told it rightly: they took a no-break space for a space, and more."""
    return " ".join(title.replace("...", "", 1).strip(WHITE_SPACE).split()) if isinstance(title, str) else ""
