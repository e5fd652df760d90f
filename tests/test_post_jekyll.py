"""Posts in a real Jekyll site: the build ends well, and every page shows what was written.

One site holds all hostile titles, authors, addresses and bodies. It is built as
the README recommends it, as somebody may set it up who has not read that, and
with kramdown, Jekyll's own engine, which need not show everything but must be safe.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import hostile
import nh3
import pytest
from parsel import Selector
from test_post import ARTICLE, encodable

from newsarchive.address import canonical_url
from newsarchive.post import Post, path, render
from newsarchive.spelling import WHITE_SPACE, escape_braces

pytestmark = pytest.mark.skipif(not shutil.which("jekyll"), reason="jekyll is not installed")

COMMONMARK = """\
markdown: CommonMark
commonmark:
  options: ["UNSAFE"]
plugins: [jekyll-commonmark]
"""

RECOMMENDED = """\
strict_front_matter: true
defaults:
  - scope: {path: "", type: posts}
    values: {render_with_liquid: false}
"""

#: The hostile categories are not part of addresses: some are longer than file names may be.
ALWAYS = """\
permalink: /:title.html
timezone: UTC
"""

LAYOUT = """\
<!DOCTYPE html><meta charset="utf-8"><title>{{ page.title | xml_escape }}</title>
<pre id="about">{{ page.title | jsonify | xml_escape }}
{{ page.author | jsonify | xml_escape }}
{{ page.tags | jsonify | xml_escape }}
{{ page.categories | jsonify | xml_escape }}
{{ page.from | jsonify | xml_escape }}
{{ page.date | date: "%s" }}</pre>
<main>{{ content }}</main><footer>end</footer>
"""


@dataclass
class Site:
    """A built site and what was put into it."""

    posts: list[tuple[Path, Post]]
    folder: Path

    @cached_property
    def pages(self) -> list[tuple[Selector, Post]]:
        return [
            (Selector((self.folder / file.name[11:]).with_suffix(".html").read_text("utf-8")), post)
            for file, post in self.posts
        ]


def balanced(body: str) -> str:
    """Return a body as the sanitiser leaves it."""
    return nh3.clean(body, attributes={"*": {"title"}}, strip_comments=False)


def posts() -> list[tuple[Path, Post]]:
    """Return posts in which every hostile text occurs, each with its path."""
    bodies = [*hostile.BODIES, *map(balanced, hostile.UNBALANCED)]
    found = []
    for number in range(max(len(hostile.TITLES), len(hostile.AUTHORS))):
        article = replace(
            ARTICLE,
            id=f"{number:06}",
            title=hostile.TITLES[number % len(hostile.TITLES)],
            url=canonical_url(hostile.URLS[number % len(hostile.URLS)]),
            body=bodies[number % len(bodies)],
        )
        author = hostile.AUTHORS[number % len(hostile.AUTHORS)]
        found.append((Path(path(article)), Post.from_article(article, author)))
    return found


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Site]:
    def built(config: str, longest: int = 100_000) -> Site:
        source = tmp_path_factory.mktemp("site")
        (source / "_layouts").mkdir()
        (source / "_layouts/post.html").write_text(LAYOUT, "utf-8")
        (source / "_config.yml").write_text(ALWAYS + config, "utf-8")
        (source / "all.txt").write_text("---\n---\n{{ site.posts | map: 'id' | jsonify }}", "utf-8")
        chosen = [(file, post) for file, post in posts() if len(post.title) <= longest]
        site = Site(chosen, source / "_site")
        for file, post in site.posts:
            (source / file).parent.mkdir(parents=True, exist_ok=True)
            (source / file).write_text(render(post), "utf-8", newline="\n")
        run = subprocess.run(
            ["jekyll", "build", "--trace", "--disable-disk-cache", "-s", source, "-d", site.folder],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr[-3000:]
        # Jekyll reports posts that it could not read, and goes on.
        assert "rror" not in run.stdout + run.stderr, run.stderr[-3000:]
        assert len(json.loads((site.folder / "all.txt").read_text("utf-8"))) == len(site.posts)
        return site

    return built


@pytest.fixture(scope="module", params=[COMMONMARK, COMMONMARK + RECOMMENDED], ids=["careless", "recommended"])
def commonmark(request: pytest.FixtureRequest, build: Callable[..., Site]) -> Site:
    return build(request.param)


@pytest.fixture(scope="module")
def kramdown(build: Callable[..., Site]) -> Site:
    # kramdown needs seconds for each of the longest titles.
    return build("markdown: kramdown\n", 1_000)


def headline(title: str) -> str:
    """Return the text that a page should show: one line without control characters, which HTML cannot carry.

    Those that are white space separate words, so they become spaces.
    """
    text = re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda match: " " if match[0].isspace() else "", encodable(title))
    return text.strip(WHITE_SPACE)


def href(url: str) -> str:
    """Return an address as cmark writes it: it also escapes what browsers leave in paths and queries."""
    return re.sub(r"[\[\]\\^`|]", lambda match: f"%{ord(match[0]):02X}", url)


def check_front_matter(site: Site) -> None:
    for page, post in site.pages:
        author = encodable(post.author)
        values = page.css("#about::text").get("").split("\n")
        assert [json.loads(value) for value in values] == [
            encodable(post.title),
            author,
            [author],
            [author],
            post.url,
            1673510643,
        ]


def test_front_matter(commonmark: Site) -> None:
    check_front_matter(commonmark)


def test_headline_is_shown_and_leads_to_the_article(commonmark: Site) -> None:
    for page, post in commonmark.pages:
        links = page.xpath("//main/h2/a")
        assert len(links) == len(page.xpath("//main/h2/node()")) == 1
        assert links.xpath("*") == []
        assert links.xpath("string()").get() == headline(post.title)
        assert links.attrib["href"] == href(post.url)


def test_body_is_shown(commonmark: Site) -> None:
    for page, post in commonmark.pages:
        expected = Selector(f"<main><div>\n{post.body}\n</div></main>")
        text, expected_text = (each.xpath("string(//main/div)").get("").strip() for each in (page, expected))
        assert text == expected_text
        assert page.xpath("//main/div//@*").getall() == expected.xpath("//main/div//@*").getall()
        assert (
            page.xpath("//main/div//*").xpath("name()").getall()
            == expected.xpath("//main/div//*").xpath("name()").getall()
        )


def test_body_keeps_its_place(commonmark: Site) -> None:
    for page, _ in commonmark.pages:
        assert page.xpath("//body/footer/text()").getall() == ["end"]
        assert page.xpath("//main/*").xpath("name()").getall() == ["h2", "div"]


def test_kramdown_is_safe(kramdown: Site) -> None:
    check_front_matter(kramdown)
    for page, post in kramdown.pages:
        assert page.xpath("//main//script|//main//*[@onerror]") == []
        links = page.xpath("//main//@href").getall()
        assert all(link.startswith("https://www.example.com/") for link in links), (post.title, links)
        assert page.xpath("//footer/text()").getall() == ["end"]


def test_braces_are_what_keeps_liquid_out(tmp_path: Path) -> None:
    """The site would not build otherwise, so the tests above mean something."""
    post = replace(Post.from_article(ARTICLE, "a"), body="{% bad %}")
    for body, status in ((post.body, 1), (escape_braces(post.body), 0)):
        (tmp_path / "_posts").mkdir(exist_ok=True)
        (tmp_path / "_posts/2023-01-12-a.md").write_text(render(replace(post, body=body)), "utf-8")
        run = subprocess.run(
            ["jekyll", "build", "--disable-disk-cache", "-s", tmp_path, "-d", tmp_path / "_site"],
            capture_output=True,
            check=False,
        )
        assert run.returncode == status
