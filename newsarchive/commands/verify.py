"""``scrapy verify [PUBLISHER…]``: checks captures, posts, index and accounts against each other."""

import argparse
import re
import secrets
from contextlib import ExitStack, closing
from pathlib import Path

from scrapy.commands import ScrapyCommand

from newsarchive.holders import publishers_asked
from newsarchive.lock import Locked, hold
from newsarchive.printable import printable
from newsarchive.progress import Progress
from newsarchive.repair import NotMended, Repair
from newsarchive.run import ALREADY_RUNNING
from newsarchive.store import lock_file
from newsarchive.verify import Cure, Problem, Sample, Verification


class Command(ScrapyCommand):
    """Prints what is wrong file by file; exits with 1 if anything is, and stays so.

    With ``--repair``, another run of a publisher makes it exit with 3, before anything is touched.
    """

    requires_project = True
    requires_crawler_process = False

    def syntax(self) -> str:
        """Return the arguments."""
        return "[PUBLISHER ...] [--repair | --sample SHARE] [--moved]"

    def short_desc(self) -> str:
        """Return what ``scrapy -h`` says."""
        return "Check captures, posts and index against each other, and mend what can be mended"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add what is to be done besides looking, and how much is looked at."""
        super().add_options(parser)
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--repair", action="store_true", help="mend what follows from the rest of the archive")
        how.add_argument("--sample", type=_share, metavar="SHARE", help="look at a random part only: 1%%, 0.5%%")
        parser.add_argument("--moved", action="store_true", help="read what was moved elsewhere, too, to the last byte")
        parser.add_argument("--seed", type=int, help="number that chooses the sample (default: another each time)")

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Verify what the archive holds of the publishers, or of all."""
        assert self.settings is not None
        self.archive = Path(self.settings["ARCHIVE_DIR"])
        self.publishers = publishers_asked(self.archive, args)
        self.exitcode = 1
        if not self.archive.is_dir():
            print(f"{self.archive}: there is no such folder")
        elif not self.publishers and not (self.archive / "index.sqlite").exists():
            print(f"{self.archive}: holds nothing: neither captures nor posts")
        elif opts.repair:
            self.repair(opts)
        else:
            self.look(opts)

    def look(self, opts: argparse.Namespace) -> None:
        """Print what is wrong."""
        sample = None
        if opts.sample:
            sample = Sample(opts.sample, secrets.randbelow(1 << 32) if opts.seed is None else opts.seed)
            print(f"a sample of {opts.sample * 100:g}%; --seed {sample.seed} chooses the same again", flush=True)
        verification = Verification(self.archive, self.publishers, sample, moved=opts.moved)
        number = 0
        with self.progress(verification):
            for problem in verification.problems():
                number += 1
                print(printable(f"WRONG {problem}"), flush=True)
        self.conclude(f"{verification.figures}: {_problems(number) if number else 'all well'}", number)

    def repair(self, opts: argparse.Namespace) -> None:
        """Mend what is wrong, and look again until nothing more can be mended; print what was done."""
        assert self.settings is not None
        with ExitStack() as held:

            def lock(publisher: str) -> None:
                held.enter_context(hold(lock_file(self.archive, publisher)))

            try:
                for publisher in self.publishers:
                    lock(publisher)
                with Repair(self.settings, self.archive, lock) as repair:
                    self.mend(repair, opts.moved)
            except Locked as error:
                print(printable(f"another run is under way: {error}"))
                self.exitcode = ALREADY_RUNNING
            except OSError as error:
                print(printable(f"the archive cannot be written: {error}"))

    def mend(self, repair: Repair, moved: bool) -> None:
        """Look at everything, mend what is wrong, and look again if anything was mended."""
        told: set[str] = set()
        right: dict[str, tuple[int, int]] = {}
        while True:
            verification = Verification(self.archive, self.publishers, moved=moved, locked=True, right=right)
            left, mended = 0, 0
            rebuild = None
            with self.progress(verification), closing(verification.problems()) as problems:
                for problem in problems:
                    left += 1
                    if str(problem) not in told:
                        told.add(str(problem))
                        print(printable(f"WRONG {problem}"), flush=True)
                    if repair.can(problem):
                        if problem.cure is Cure.REBUILD:
                            rebuild = problem
                            break
                        mended += self.mended(repair, problem)
            if rebuild:
                mended += self.mended(repair, rebuild)
            elif not mended:
                break
        number = len(told)
        ending = f"{_problems(number)}, {number - left} mended, {left} left" if number else "all well"
        self.conclude(f"{verification.figures}: {ending}", left)

    def mended(self, repair: Repair, problem: Problem) -> bool:
        """Mend a problem, and print what was done; tell whether anything was."""
        done = False
        try:
            for told in repair.mend(problem):
                done = True
                print(printable(f"MENDED {told}"), flush=True)
        except NotMended as error:
            print(printable(f"NOT MENDED {error}"), flush=True)
        return done

    def progress(self, verification: Verification) -> Progress:
        """Return how far a verification is, which it tells from then on."""
        progress = Progress("verify", verification.bytes())
        verification.advance = progress.advance
        return progress

    def conclude(self, summary: str, wrong: int) -> None:
        """Print the last line, and set the exit status."""
        print(f"verified {summary}")
        self.exitcode = 1 if wrong else 0


def _problems(number: int) -> str:
    return f"{number} problem" if number == 1 else f"{number} problems"


def _share(text: str) -> float:
    """Return a part that is given in per cent."""
    number = re.fullmatch(r"(\d+(?:\.\d+)?)%", text, re.ASCII)
    share = float(number[1]) / 100 if number else 0
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share: 1%, 0.5%")
    return share
