"""A run killed at any call that writes, or whose calls fail: nothing acknowledged is lost, and a rerun converges."""

import pytest
from attack import HARMS, Torturer, points, sample
from judge import Judge, after_error, after_kill, after_rerun
from scene import WHOLE, Record, Scene
from world import A, B, C, D, E, F, G

#: Tests among which the attacks of one kind are divided.
SHARES = 16 if WHOLE else 2
#: Of the points, every so-manieth is attacked in a sample.
STEP = 1 if WHOLE else 48


@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("harm", HARMS)
def test_attacked_once(tortured: Torturer, scene: Scene, record_property: Record, harm: str, share: int) -> None:
    judge = scene.judge
    found: list[str] = []
    done = lost = 0
    chosen = sample(scene.points, harm, STEP)[share::SHARES]
    for point in chosen:
        attacked = tortured.hit(point, of=scene.base)
        if attacked is None:
            continue
        done += 1
        problems = after_kill(attacked) if harm == "KILL" else after_error(attacked, judge)
        missing = judge.promised(attacked.archive, attacked.run)
        lost += bool(missing)
        again = tortured.run(attacked.archive)
        problems += missing + after_rerun(again) + judge.differences(attacked.archive)
        problems += tortured.verified(attacked.archive)
        if problems:
            found.append(f"{point}:\n    " + "\n    ".join(problems))
    record_property(f"total:{harm}: calls attacked", done)
    record_property(f"total:{harm}: calls that were not made again", len(chosen) - done)
    record_property(f"total:{harm}: archives inconsistent after the rerun", len(found))
    record_property(f"total:{harm}: runs that lost what was acknowledged", lost)
    assert not found, "\n".join([f"{len(found)} of {done}", *found])
    assert len(chosen) - done <= 1 + len(chosen) // 10


def test_without_drafts_a_kill_tears_a_post(tortured: Torturer, judge: Judge) -> None:
    archive = tortured.copy()
    run, calls = tortured.watched(archive, without=("draft",), steady=True)
    assert run.status == 0, run.output
    writes = [point for point in points(calls, archive) if point.name == "write" and point.file.endswith(".md")]
    torn = 0
    for point in writes:
        attacked = tortured.attack(point, without=("draft",))
        torn += bool(judge.promised(attacked.archive, attacked.run))
    assert torn


def test_the_scene_is_what_it_is_meant_to_be(stored: Scene) -> None:
    assert [row[1] for row in stored.judge.content["articles"]] == [A, B, C, D, G]
    assert [row[1] for row in stored.judge.content["revisions"]] == [A, B, B, C, D, G]
    endings = {row[0][-17:-5]: row[1] for row in stored.judge.content["addresses"] if row[1]}
    assert {id: endings[id] for id in (A, B, C, D, E, F, G)} == {
        **dict.fromkeys((A, B, C, G), "article"),
        D: "status-404",
        E: "redirect",
        F: "expired",
    }


def test_without_recovery_kills_leave_their_traces(tortured: Torturer, stored: Scene) -> None:
    judge, all_points = stored.judge, stored.points
    spoilt = 0
    for point in all_points[len(all_points) // 4 :: len(all_points) // 4]:
        archive = tortured.attack(point).archive
        tortured.run(archive, without=("recovery",))
        spoilt += bool(judge.differences(archive))
    assert spoilt
