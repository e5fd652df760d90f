"""Hostile input in a real Jekyll site, looked at by a real browser: nothing runs, nothing leaves its place.

Every attack takes three ways into a post: as the body of a feed's item, within the
text of a publisher's page, and as everything around a body (title, label, caption,
address). The site is built as the README recommends, as somebody may set it up who
has not read that, and with Jekyll's own engine. Then each page is loaded, each of
its elements is hovered over, focused and clicked, and what ran leaves a trace.
"""

import json
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from html import escape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from attacks import ATTACKS, LIQUID_RUNS, MARKUP
from places import FIXTURES, spider
from scrapy.http import HtmlResponse
from test_post import ARTICLE
from test_post_jekyll import ALWAYS, COMMONMARK, RECOMMENDED

from newsarchive.article import Article, Image, Refused
from newsarchive.fragment import figure
from newsarchive.post import Post, path, read, render
from pipelines.clean import TAGS, clean
from pipelines.validate import validated

pytestmark = pytest.mark.skipif(
    not (shutil.which("jekyll") and shutil.which("chromium")), reason="jekyll or chromium is not installed"
)

KRAMDOWN = "markdown: kramdown\n"
BEFORE, AFTER = "<p>前段</p>", "<p>後段</p>"
#: Why a body may be refused: all else must be made harmless.
REFUSALS = {"body-lost", "too-deep", "too-many-attributes"}

LAYOUT = """\
<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{{ page.title | xml_escape }}</title></head>
<body><header>{{ page.author | xml_escape }} {{ page.tags | join: " " | xml_escape }}</header>
<main>{{ content }}</main><footer>end</footer></body></html>
"""

HARNESS = """\
<!DOCTYPE html><meta charset="utf-8"><body><script>
const ran = new Set(), found = {}, pause = ms => new Promise(done => setTimeout(done, ms));
addEventListener("message", event => ran.add(event.data));

function problems(page, expected, strict, tags) {
  const told = [], body = page.body, outer = [...body.children].map(each => each.tagName).join();
  const [header, main, footer] = ["header", "main", "footer"].map(name => page.querySelector(`body > ${name}`));
  if (outer != "HEADER,MAIN,FOOTER") return ["the page consists of " + outer];
  if (body.attributes.length || page.documentElement.attributes.length != 1) told.push("attributes of the page");
  if (header.children.length || footer.innerHTML != "end") told.push("header or footer");
  if (page.querySelector("base, link, style, iframe, object, embed, form")) told.push("foreign elements");
  const parts = [...main.children].map(each => each.tagName).join();
  if (strict && parts != "H2,DIV") told.push("main consists of " + parts);
  if (strict && main.querySelector("h2 > *:not(a), h2 a *")) told.push("mark-up in the headline");
  const post = main.querySelector(":scope > div");
  if (!post) return told.concat("no post");
  const copy = page.implementation.createHTMLDocument().createElement("div");
  copy.innerHTML = expected;
  if (strict && post.innerHTML.trim() != copy.innerHTML.trim()) told.push("the body became " + post.innerHTML);
  if (!/^\\s*前段[^]*後段\\s*$/.test(post.textContent)) told.push("text around is gone: " + post.textContent);
  for (const each of main.querySelectorAll("*")) {
    if (!tags.includes(each.localName)) told.push("element " + each.localName);
    for (const {name, value} of each.attributes) {
      if (/^(on|style|srcdoc|xlink|data|form|action|name)/.test(name)) told.push("attribute " + name);
      if (/^(href|src)$/.test(name) && !/^(https?|mailto):/.test(value)) told.push("address " + value);
    }
  }
  return told;
}

async function touch(page) {
  const stay = event => {
    const target = event.target.closest?.("a, area");
    if (target && target.protocol != "javascript:") event.preventDefault();
  };
  page.addEventListener("click", stay, true);
  for (const each of [...page.querySelectorAll("*")].slice(0, 200)) {
    for (const name of ["pointerdown", "mouseover", "mouseenter", "mousedown", "focus", "focusin", "mouseup"])
      each.dispatchEvent(new MouseEvent(name, {bubbles: true}));
    each.dispatchEvent(new MouseEvent("click", {bubbles: true, cancelable: true}));
    if (/^(a|area|button|input|text)$/.test(each.localName)) await pause(0);
  }
}

async function visit({name, body}, strict, tags) {
  const frame = document.createElement("iframe");
  frame.src = name;
  const loaded = new Promise(done => frame.onload = done);
  document.body.append(frame);
  await Promise.race([loaded, pause(30000)]);
  try {
    found[name] = problems(frame.contentDocument, body, strict, tags);
    await touch(frame.contentDocument);
  } catch (error) { (found[name] ??= []).push(`${error}`); }
  return frame;
}

addEventListener("load", async () => {
  const {pages, strict, tags} = await (await fetch("/pages.json")).json();
  while (pages.length) {
    const frames = await Promise.all(pages.splice(0, 80).map(page => visit(page, strict, tags)));
    await pause(100);
    frames.forEach(frame => frame.remove());
  }
  await pause(300);
  await fetch("/found", {method: "POST", body: JSON.stringify({ran: [...ran], found})});
});
</script></body>
"""


@dataclass
class Seen:
    """What the browser saw of a site."""

    #: Numbers of the attacks that ran.
    ran: list[int]
    #: What is wrong with each page, by name.
    found: dict[str, list[str]]


@dataclass
class Entrance:
    """Articles that were let in by one way, as posts, by number of the attack; and why others were not."""

    posts: dict[int, tuple[Article, Post]] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)

    def let_in(self, number: int, article: Article, label: str = "中央社") -> None:
        try:
            article = validated(clean(article))
        except Refused as refusal:
            self.refused[number] = refusal.reason
            return
        assert clean(article) == article, "cleaning again changes the article"
        post = Post.from_article(article, label)
        assert read(render(post)).body == post.body
        self.posts[number] = article, post


@lru_cache
def feed() -> Entrance:
    """Return posts whose bodies come straight from outside."""
    entrance = Entrance()
    for number, attack in enumerate(ATTACKS):
        entrance.let_in(number, replace(ARTICLE, id=f"feed-{number}", body=BEFORE + attack + AFTER))
    return entrance


@lru_cache
def page() -> Entrance:
    """Return posts whose bodies stood in a page of CNA."""
    entrance, reader = Entrance(), spider("cna")
    case = json.loads((FIXTURES / "cna/since-2023.expected.json").read_text("utf-8"))
    source = (FIXTURES / "cna/since-2023.html").read_text("utf-8")
    start = source.index("<p>", source.index('class="paragraph"'))
    for number, attack in enumerate(ATTACKS):
        hostile = source[:start] + BEFORE + attack + source[start:]
        try:
            article = reader.read(
                HtmlResponse(
                    case["url"], body=hostile.encode("utf-8", "replace"), headers={"Content-Type": "text/html"}
                )
            )
        except Refused as refusal:
            entrance.refused[number] = refusal.reason
            continue
        # The lead photo comes first.
        body = BEFORE + article.body.replace(BEFORE, "") + AFTER
        entrance.let_in(number, replace(article, id=f"page-{number}", body=body))
    return entrance


@lru_cache
def around() -> Entrance:
    """Return posts whose bodies are harmless, and nothing else is."""
    entrance = Entrance()
    for number, attack in enumerate(ATTACKS):
        address = f"https://example.invalid/{attack[:2_000]}"
        shown = (
            figure(Image(url=address, caption=attack, credit=attack)) + f'<p><img src="x" alt="{escape(attack)}"></p>'
        )
        article = replace(
            ARTICLE,
            id=f"around-{number}",
            title=attack[:1_000],
            url=address,
            section=attack,
            keywords=(attack,),
            authors=(attack,),
            summary=attack,
            images=(Image(url=attack, caption=attack),),
            body=f'{BEFORE}{shown}<p><a href="{escape(address)}">x</a><a href="{escape(attack)}">y</a></p>{AFTER}',
        )
        entrance.let_in(number, article, attack[:1_000])
    return entrance


def build(folder: Path, config: str, posts: dict[str, str]) -> Path:
    """Return the folder of a site that Jekyll built of all posts."""
    (folder / "_layouts").mkdir()
    (folder / "_layouts/post.html").write_text(LAYOUT, "utf-8")
    (folder / "_config.yml").write_text(ALWAYS + config, "utf-8")
    for name, text in posts.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8", newline="")
    command = ["jekyll", "build", "--trace", "--disable-disk-cache", "-s", folder, "-d", folder / "_site"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    assert "rror" not in run.stdout + run.stderr, run.stderr[-3000:]
    assert len(list((folder / "_site").glob("*.html"))) == len(posts)
    return folder / "_site"


class Handler(SimpleHTTPRequestHandler):
    """Serves a site and takes down what the browser reports."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *args: Any, reported: list[Any], done: threading.Event, **kwargs: Any) -> None:
        self.reported, self.done = reported, done
        super().__init__(*args, **kwargs)

    def do_POST(self) -> None:
        self.reported.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()
        self.done.set()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: most attacks ask for what is not there."""


def look(site: Path, bodies: dict[str, str], strict: bool, profile: Path) -> Seen:
    """Return what a browser sees of a site's pages, each given with the body it should show."""
    pages = [{"name": name, "body": body} for name, body in bodies.items()]
    (site / "pages.json").write_text(json.dumps({"pages": pages, "strict": strict, "tags": sorted(TAGS)}))
    (site / "harness.html").write_text(HARNESS, "utf-8")
    reported: list[Any] = []
    done = threading.Event()
    handler = partial(Handler, directory=str(site), reported=reported, done=done)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
        command = [
            *("chromium", *options.split(), f"--user-data-dir={profile}"),
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            f"http://127.0.0.1:{server.server_port}/harness.html",
        ]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            try:
                assert done.wait(120), "the browser did not report"
            finally:
                browser.terminate()
                server.shutdown()
    return Seen(**reported[0])


def built(folder: Path, config: str) -> Path:
    """Return the folder of a site of everything that was let in."""
    folder.mkdir()
    let_in = [each for entrance in (feed(), page(), around()) for each in entrance.posts.values()]
    return build(folder, config, {str(path(article)): render(post) for article, post in let_in})


def check(site: Path, strict: bool, profile: Path) -> None:
    """Check that nothing ran on any page of a site, and that everything is in its place."""
    let_in = [each for entrance in (feed(), page(), around()) for each in entrance.posts.values()]
    seen = look(site, {f"{article.id}.html": post.body for article, post in let_in}, strict, profile)
    assert [ATTACKS[number] for number in seen.ran] == []
    assert len(seen.found) == len(let_in)
    assert {name: told for name, told in seen.found.items() if told} == {}


def test_commonmark(tmp_path: Path) -> None:
    """A site whose Liquid reads the posts comes out as one whose Liquid does not, so one is looked at."""
    with ThreadPoolExecutor() as pool:
        careless = pool.submit(built, tmp_path / "careless", COMMONMARK)
        recommended = built(tmp_path / "recommended", COMMONMARK + RECOMMENDED)
        for file in recommended.glob("*.html"):
            assert file.read_bytes() == (careless.result() / file.name).read_bytes()
    check(recommended, True, tmp_path / "profile")


def test_kramdown(tmp_path: Path) -> None:
    """Jekyll's own engine may show things in its own way, but nothing runs and nothing leaves its place."""
    check(built(tmp_path / "kramdown", KRAMDOWN), False, tmp_path / "profile")


def test_most_is_let_in(record_property: Any) -> None:
    """What is refused is not tested by the browser, so it must be little and for known reasons."""
    for entrance, least in ((feed(), 330), (around(), 330), (page(), 100)):
        assert len(entrance.posts) + len(entrance.refused) == len(ATTACKS)
        assert len(entrance.posts) >= least
    assert set(feed().refused.values()) <= REFUSALS
    record_property("total:hostile articles that became posts", sum(len(each().posts) for each in (feed, page, around)))


def test_liquid_runs_where_braces_are_not_escaped(tmp_path: Path) -> None:
    first = MARKUP.strip("\n").count("\n") + 1
    numbers = range(first, first + LIQUID_RUNS.strip("\n").count("\n") + 1)
    assert len(control(tmp_path / "site", COMMONMARK, numbers).ran) >= 6


def test_attacks_run_where_nothing_is_cleaned(tmp_path: Path, record_property: Any) -> None:
    """The tests above would fail otherwise, so they mean something."""
    with ThreadPoolExecutor() as pool:
        kramdown = pool.submit(control, tmp_path / "kramdown", KRAMDOWN + RECOMMENDED, range(len(ATTACKS)))
        commonmark = control(tmp_path / "commonmark", COMMONMARK + RECOMMENDED, range(len(ATTACKS)))
        ran = {*commonmark.ran, *kramdown.result().ran}
    assert len(ran) >= 240
    assert sum(map(bool, commonmark.found.values())) >= 300
    record_property("total:attacks that run where nothing is cleaned", len(ran))
    record_property("total:attacks", len(ATTACKS))


def control(folder: Path, config: str, numbers: range) -> Seen:
    """Return what a browser sees of attacks that nobody cleaned."""
    posts = {}
    for number in numbers:
        article = replace(ARTICLE, id=f"raw-{number}", title="x")
        post = replace(Post.from_article(article, "x"), body=BEFORE + ATTACKS[number] + AFTER)
        posts[str(path(article))] = render(post)
    (folder / "source").mkdir(parents=True)
    site = build(folder / "source", config, posts)
    return look(site, {f"raw-{number}.html": BEFORE + AFTER for number in numbers}, False, folder / "profile")
