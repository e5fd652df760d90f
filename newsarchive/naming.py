"""Names of the files of posts: safe on every file system, and the same for ever."""

import re
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import PurePosixPath

__all__ = ["named"]


def named(publisher: str, id: str, published: datetime, suffix: str = ".md") -> PurePosixPath:
    """Return where the post of an article of a publisher lives that has an id, and was published at a time."""
    day = published.astimezone(UTC).isoformat()[:10]
    return PurePosixPath("_posts", _file_name(publisher), day[:4], f"{day}-{_file_name(id)}{suffix}")


def _file_name(text: str) -> str:
    """Return a name that is safe on every file system, and the text itself if it is such a name.

    Other texts become a slug and a hash. Jekyll joins separators when it makes an
    address of a name, and some file systems do not tell cases apart: so neither
    doubled separators nor mixed cases are safe, nor what looks like our own hash.
    """
    safe = re.fullmatch(r"(?=.{1,90}$)(?:[0-9a-z]+(?:[._-][0-9a-z]+)*|[0-9A-Z]+(?:[._-][0-9A-Z]+)*)", text)
    if safe and not re.search(r"-[0-9a-f]{16}$", text):
        return text
    slug = "-".join(re.findall("[0-9a-z]+", text.lower()))[-60:].strip("-")
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{slug or 'id'}-{digest}"
