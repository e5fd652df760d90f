"""Posts as the older writers of such archives made them of full-text feeds, to the byte.

``format.md`` calls it the verbatim mode: what a feed says is what the post says. Ours
differ only where theirs were broken: in what YAML, Markdown or Liquid would read as
something else.
"""

import re
from dataclasses import replace

from newsarchive.article import Article
from newsarchive.post import Post, render
from newsarchive.spelling import WHITE_SPACE, link_target, quoted

__all__ = ["verbatim_body", "verbatim_content"]

#: What the older writers took out of titles, and out of the text of posts with front matter.
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
#: What may mean something in the link line; references do too, but nobody minded them.
ACTIVE = re.compile(r"[\[\]()<`*_\\]|\{[{%]")
#: What opens Liquid, which stops the site if it is not closed.
LIQUID = re.compile(r"\{(?=[{%])")


def verbatim_body(content: str, form: str) -> str:
    """Return the text of a post in a form, on one line; nothing in it is Liquid."""
    if form == "front":
        body = CONTROLS.sub("", content).strip(WHITE_SPACE)
    else:
        body = "".join(line.strip(WHITE_SPACE) for line in content.split("\n"))
    return LIQUID.sub("&#123;", body)


def verbatim_content(article: Article, title: str, url: str) -> Article:
    """Return an article that is signed with the bytes of its post, which nothing may change any more.

    ``title`` is the feed's, with all its white space; ``url`` its link, which may say more than the
    article's address.
    """
    signed = article.signed
    assert signed
    title = CONTROLS.sub("", title)
    # Other than in the link line, an ellipsis goes, and spaces may break.
    written = {"title": quoted(title.replace("...", "", 1).replace("\xa0", " "))}
    if not ACTIVE.search(title):
        written["link"] = f"[{title.strip(WHITE_SPACE)}]({link_target(url)})"
    post = Post(
        form=signed.form,
        title=title,
        published=article.published,
        url=url,
        author=signed.author,
        tags=(signed.label,),
        categories=(signed.label,),
        body=article.body,
        written=written,
    )
    return replace(article, content=render(post).encode(), ready=True)
