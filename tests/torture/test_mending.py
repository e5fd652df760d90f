"""A run that is killed while it mends what a killed run left: the next one mends both."""

from pathlib import Path

import pytest
from attack import HARMS, Point, Torturer, points, sample
from judge import Judge, after_error, after_kill, after_rerun
from scene import WHOLE, Record, Scene

SHARES = 8 if WHOLE else 2
STEP = 1 if WHOLE else 200


@pytest.fixture(scope="session")
def torn(tortured: Torturer, stored: Scene) -> Path:
    """Return an archive that needs all mending there is: killed between name and commit of a post, torn."""
    named = [point.name == "rename" and point.file.endswith(".md") for point in stored.points]
    attacked = tortured.attack(stored.points[len(named) - named[::-1].index(True)])
    assert attacked.run.status == -9
    open_file = next(attacked.archive.rglob("*.open"))
    with open_file.open("ab") as file:
        file.write(open_file.read_bytes()[:100])
    post = next(attacked.archive.rglob("*.md"))
    post.with_name(".torn.tmp").write_text("half a po")
    return tortured.copy("torn", of=attacked.archive)


@pytest.fixture(scope="session")
def mending(tortured: Torturer, torn: Path) -> list[Point]:
    """Return the calls of a run that mends it, up to those of the run itself."""
    archive = tortured.copy(of=torn)
    run, calls = tortured.watched(archive, steady=True)
    assert run.status == 0, run.output
    found = points(calls, archive)
    # The run's own first capture ends the mending.
    return found[: [point.name == "openat" and point.file.endswith(".open") for point in found].index(True)]


@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("harm", HARMS)
def test_attacked_while_mending(
    tortured: Torturer,
    judge: Judge,
    torn: Path,
    mending: list[Point],
    record_property: Record,
    harm: str,
    share: int,
) -> None:
    found: list[str] = []
    done = 0
    for point in sample(mending, harm, STEP)[share::SHARES]:
        attacked = tortured.hit(point, of=torn)
        if attacked is None:
            continue
        done += 1
        problems = after_kill(attacked) if harm == "KILL" else after_error(attacked, judge)
        problems += judge.promised(attacked.archive, attacked.run)
        again = tortured.run(attacked.archive)
        problems += after_rerun(again) + judge.differences(attacked.archive)
        problems += tortured.verified(attacked.archive)
        if problems:
            found.append(f"{point}:\n    " + "\n    ".join(problems))
    record_property(f"total:{harm} while mending: calls attacked", done)
    record_property(f"total:{harm} while mending: archives inconsistent after the rerun", len(found))
    assert not found, "\n".join([f"{len(found)} of {done}", *found])
    assert done


def test_without_recovery_the_rerun_does_not_converge(tortured: Torturer, judge: Judge, torn: Path) -> None:
    archive = tortured.copy(of=torn)
    tortured.run(archive, without=("recovery",))
    assert judge.differences(archive)
