"""How long reading a page into an Article takes, next to only parsing it and next to fundus and trafilatura.

Fundus and trafilatura are processes of their own; parsing and reading share one, so that both find the same memory.
Each round visits all pages with one process after the other, so that a busy machine slows all alike. A page's time
is its fastest round: whatever else the machine does only ever adds to it.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from math import inf
from pathlib import Path
from subprocess import PIPE

from scrapy.http import HtmlResponse
from scrapy.spiderloader import get_spider_loader
from scrapy.utils.project import get_project_settings

from newsarchive.article import Refused
from newsarchive.commands.read import address

HERE = Path(__file__).resolve().parent
ROUNDS = 15
PROCESSES = [("parse", "article", "read"), ("fundus", "fundus_parser"), ("trafilatura",)]
CONTENDERS = [name for names in PROCESSES for name in names]
#: Each has a virtual environment of its own (they need different releases of lxml), made at first use.
REQUIREMENTS = {
    "fundus": ["fundus==0.5.7", "curl_cffi==0.15.0", "lxml==5.4.0"],
    "trafilatura": ["trafilatura==2.3.1", "lxml_html_clean==0.4.6", "lxml==6.1.3"],
}
#: An Article has its language: so has fundus's, which finds it in the text. Its parser alone is printed for comparison.
#: Whose time divided by whose must lie between which bounds.
TARGETS = [("article", "parse", 0, 1.5), ("fundus", "article", 4, inf), ("trafilatura", "article", 9, inf)]


def interpreter(contender: str) -> str:
    """Return the Python that runs a contender, with what it needs installed."""
    if contender not in REQUIREMENTS:
        return sys.executable
    folder = HERE.parent / ".venv" / "contenders" / contender
    python, stamp, wanted = folder / "bin" / "python", folder / "installed", "\n".join(REQUIREMENTS[contender])
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", *REQUIREMENTS[contender]], check=True)
        stamp.write_text(wanted)
    return str(python)


def pages() -> Iterator[dict[str, str]]:
    """Yield the pages that are articles: real ones beside the checkout, or else the project's fixtures."""
    folder = HERE.parent.parent / "shared" / "pages"
    if not folder.is_dir():
        print("../shared/pages is missing: the project's own fixtures are read instead")
        folder = HERE.parent / "fixtures"
    loader = get_spider_loader(get_project_settings())
    for file in sorted(folder.glob("*/*.html")):
        body, publisher = file.read_bytes(), file.parent.name
        try:
            loader.load(publisher)().read(HtmlResponse(url := address(body), body=body))
            yield {"publisher": publisher, "file": str(file), "url": url}
        except (Refused, KeyError) as reason:
            print(f"left out {publisher}/{file.name}: {str(reason)[:60]}")


def measure(articles: list[dict[str, str]]) -> dict[str, list[tuple[float, int]]]:
    """Return for each contender and page the milliseconds of the fastest round and the characters read."""
    rounds = []
    with ExitStack() as stack:
        running = []
        for names in PROCESSES:
            command = [interpreter(names[0]), str(HERE / "contender.py"), *names]
            process = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True, cwd=HERE.parent)
            running.append(stack.enter_context(process))
            print(json.dumps(articles), file=process.stdin)
        for _ in range(ROUNDS):
            answers = []
            for process in running:
                print("round", file=process.stdin, flush=True)
                answers.append(json.loads(process.stdout.readline()))
            rounds.append([[tuple(one) for part in page for one in part] for page in zip(*answers, strict=True)])
        for process in running:
            process.stdin.close()
    pages = [[min(times) for times in zip(*page, strict=True)] for page in zip(*rounds, strict=True)]
    return dict(zip(CONTENDERS, zip(*pages, strict=True), strict=True))


def main() -> bool:
    """Print a table of pages and one of contenders; tell whether all targets are met."""
    articles = list(pages())
    found = measure(articles)
    print("\nmilliseconds" + "".join(f"{name:>18}" for name in CONTENDERS) + "   page")
    for number, page in enumerate(articles):
        file = Path(page["file"])
        times = "".join(f"{found[name][number][0]:18.2f}" for name in CONTENDERS)
        print(f"{file.stat().st_size / 1000:9.0f} kB{times}   {page['publisher']}/{file.name}")
    total = {name: sum(took for took, _ in found[name]) for name in CONTENDERS}
    print(f"\n{len(articles)} pages            ms a page   pages/s   × parse   characters")
    for name in CONTENDERS:
        each, read = total[name] / len(articles), sum(count for _, count in found[name])
        print(f"{name:17}{each:12.2f}{1000 / each:10.0f}{total[name] / total['parse']:10.2f}{read:13}")
    print(f"\nfastest of {ROUNDS} rounds; " + ", ".join(wanted[0] for wanted in REQUIREMENTS.values()))
    ratios = [(total[above] / total[below], *rest) for above, below, *rest in TARGETS]
    for (above, below, *_), (ratio, least, most) in zip(TARGETS, ratios, strict=True):
        bound = f"at least {least}" if least else f"at most {most}"
        print(f"{above} / {below}: {ratio:.2f}, {bound}: {'met' if least <= ratio <= most else 'MISSED'}")
    print(f"fundus_parser / article: {total['fundus_parser'] / total['article']:.2f}; it names no language: no target")
    return all(least <= ratio <= most for ratio, least, most in ratios)
