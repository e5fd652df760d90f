"""Posts from meaning to bytes."""

from dataclasses import replace

from newsarchive.article import Article
from newsarchive.post.forms import BARE, COMMENTS, EPOCH, FEED, FRONT, FRONT_HEAD, MILLISECOND, Post
from newsarchive.spelling import link_target, link_text, quoted, scalar, well_formed

__all__ = ["content_of", "render", "render_bytes", "spelled"]


def render(post: Post) -> str:
    """Return the text of a post's file; a lone surrogate becomes U+FFFD.

    Raises ValueError for a front post without time, and for a feed post that was not read from a file.
    """
    written = post.written
    if post.form == "front" and not (post.published or "date" in written or "head" in written):
        raise ValueError("a post with front matter needs its time of publication")
    if post.form == "feed":
        if "head" not in written:
            raise ValueError("posts in the form of feeds are written back, not written")
        text = FEED.format_map({"body": post.body, "end": "\n", **written})
    elif post.form == "bare":
        text = BARE.format_map({**spelled(post), **written})
    else:
        text = ("{head}" if "head" in written else FRONT_HEAD) + FRONT
        text = text.format_map({**spelled(post), **written})
    if post.newline == "\r\n":
        text = text.replace("\n", "\r\n")
    return well_formed("\ufeff" + text if post.bom else text)


def render_bytes(post: Post) -> bytes:
    """Return the content of a post's file; raise ValueError as ``render`` does."""
    return render(post).encode()


def content_of(article: Article, label: str) -> bytes:
    """Return the bytes of an article's post, signed with its publisher's label; raise ValueError if it has none."""
    if article.content:
        return article.content
    post = Post.from_article(article, label)
    if signed := article.signed:
        filed = (signed.label,)
        post = replace(post, form=signed.form, author=signed.author, tags=filed, categories=filed)
    return render_bytes(post)


def spelled(post: Post) -> dict[str, str]:
    """Return how we spell the fields of the templates."""
    return {
        "title": quoted(post.title),
        "date": post.published.isoformat(timespec="milliseconds")[:-6] + "Z" if post.published else "",
        "author": scalar(post.author),
        "from": scalar(post.url),
        "tags": ", ".join(scalar(tag, flow=True) for tag in post.tags),
        "comments": COMMENTS if post.comments else "",
        "categories": ", ".join(scalar(name, flow=True) for name in post.categories),
        "stamp": str((post.published - EPOCH) // MILLISECOND) if post.published else "NaN",
        "link": f"[{link_text(post.title)}]({link_target(post.url)})",
        "body": post.body,
        "end": "\n",
    }
