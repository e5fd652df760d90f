"""An article as a post, and back: render, read, path.

A post is a Jekyll file in one of three forms. The front form has front matter
and a ``<div>`` around the body, the bare form has neither. One template per form
serves both ways: ``render`` fills it in, ``read`` takes it apart. The feed form
is what jekyll-import makes of a feed: front matter, and nothing but the body
after it. It is read and written back, never made anew.

What is read is parsed to its meaning. Posts in the wild spell some meanings in
their own way (an unescaped backslash, an address before percent-encoding, a
stamp of ``NaN``, front matter in another order); such a spelling is kept beside
the meaning, so that writing back what was read gives the same bytes.

Three languages meet in a post: YAML in the front matter, Markdown in the link
line, and Liquid in everything after the front matter. Text that means something
in one of them is escaped, and only such text: ordinary headlines stay as they are.
"""

from newsarchive.post.forms import Post, Reason, Unreadable
from newsarchive.post.names import path
from newsarchive.post.reading import read, read_bytes
from newsarchive.post.writing import content_of, render, render_bytes

__all__ = [
    "Post",
    "Reason",
    "Unreadable",
    "content_of",
    "path",
    "read",
    "read_bytes",
    "render",
    "render_bytes",
]
