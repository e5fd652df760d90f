"""An archive that was taken over, in a real Jekyll site: every post at its date, under its title, and none lost."""

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import hostile
import pytest
from test_import import front, scrapy, write
from test_post_jekyll import ALWAYS, COMMONMARK, RECOMMENDED

from newsarchive.post import read_bytes

pytestmark = pytest.mark.skipif(not shutil.which("jekyll"), reason="jekyll is not installed")

LIST = """\
---
---
[{% for post in site.posts %}{% unless forloop.first %},{% endunless %}
{"title": {{ post.title | jsonify }}, "date": {{ post.date | date: "%s" }}, "url": {{ post.url | jsonify }}}
{% endfor %}]
"""
FEED = """\
---
layout: post
title: {title}
date: {date}
link: https://www.dw.com/zh/x/a-{number}
categories:
- 新闻
---

<p>第一段。</p>
<p>第二段。</p>
"""


def sources() -> dict[str, bytes]:
    """Return posts as older writers wrote them, titles that break their front matter among them."""
    begin = datetime(2024, 1, 15, 2, tzinfo=UTC)
    titles = [title for title in hostile.TITLES if title.strip() and title.isprintable() and len(title) < 1000]
    files = {}
    for number, title in enumerate(titles):
        published = f"{begin + timedelta(days=number):%Y-%m-%dT%H:%M:%S.000Z}"
        url = f"https://www.cna.com.tw/news/ahel/20240115{number:04}.aspx"
        written = front(url, title.replace('"', '\\"'), published)
        # The link line has the title as it is.
        files[f"{published[:10]}-{number}.md"] = written.replace(
            f"\n[{title.replace(chr(34), chr(92) + chr(34))}]".encode(), f"\n[{title}]".encode()
        )
    for number in range(20):
        date = f"{begin - timedelta(days=number):%Y-%m-%d %H:%M:%S} +0000"
        title = json.dumps(titles[number], ensure_ascii=False)
        files[f"feed/{date[:10]}-CNA-{number}.html"] = FEED.format(
            title=title, date=date, number=1000 + number
        ).encode()
    return files


def test_every_post_is_shown_at_its_date_under_its_title(tmp_path: Path) -> None:
    files = sources()
    site = tmp_path / "site"
    told = scrapy(site, "import", write(tmp_path / "old", files))
    assert "refused" not in told
    (site / "_layouts").mkdir()
    (site / "_layouts/post.html").write_text("<h1>{{ page.title | escape }}</h1>{{ content }}", "utf-8")
    (site / "_config.yml").write_text(ALWAYS + COMMONMARK + RECOMMENDED, "utf-8")
    (site / "all.json").write_text(LIST, "utf-8")
    run = subprocess.run(
        ["jekyll", "build", "--trace", "--disable-disk-cache", "-s", site, "-d", tmp_path / "built"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert "onflict" not in run.stdout + run.stderr, run.stderr[-3000:]
    shown = json.loads((tmp_path / "built/all.json").read_text("utf-8"))
    posts = [read_bytes(content) for content in files.values()]
    expected = sorted((int(post.published.timestamp()), post.title) for post in posts if post.published)
    assert len(expected) == len(files)
    assert sorted((one["date"], one["title"]) for one in shown) == expected
    assert all((tmp_path / "built" / one["url"].lstrip("/")).is_file() for one in shown)
