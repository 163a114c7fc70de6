"""What is explained agrees with somebody who watched everything."""

import random
from typing import Any

import pytest

from support.watcher import Watched, Watcher, told
from tidewire.core.inspection.explain import Explanation

QUESTIONS = 1000
ROOMY = 1 << 20


def question(watcher: Watcher, chance: random.Random) -> tuple[list[Explanation], list[dict[str, Any]]]:
    """A random question: what the shard says, and what is right."""
    shard = watcher.rig.engine.shard
    queue: Watched = chance.choice(list(watcher.queues.values()))
    if chance.random() < 0.6:
        event_id = chance.randrange(len(queue.kinds) + 1)
        return [shard.explain_event(queue.queue_id, event_id)], [watcher.event(queue, event_id)]
    notice_id = f"notice-{chance.randrange(len(watcher.notices) + 2)}"
    return shard.explain_notice(queue.queue_id, notice_id), watcher.notice(queue, notice_id)


@pytest.mark.parametrize("seed", range(5))
def test_a_thousand_questions_are_answered_as_by_somebody_who_watched_everything(seed: int) -> None:
    watcher = Watcher(seed, explain_bytes=ROOMY)
    watcher.run(600)
    chance = random.Random(seed)
    states: set[str] = set()
    merged = 0
    for _ in range(QUESTIONS):
        stories, right = question(watcher, chance)
        assert [told(story, one) for story, one in zip(stories, right, strict=True)] == right
        states.update(story.state for story in stories)
        merged += sum(story.merged_into is not None for story in stories)
    assert states >= {"acknowledged", "sent", "refused", "dropped", "not_yet", "not_addressed", "other_realm"}
    assert merged > 3


def check_true(story: Explanation, right: dict[str, Any], *, recovered: bool) -> None:
    """Not everything need be known, but what is said is true."""
    allowed = {right["state"], "unknown"}
    if recovered:
        allowed |= {"waiting"} if right["state"] == "sent" else set()
    # What it was merged into may be forgotten, but not that it was.
    assert story.state in allowed, (story, right)
    for name, value in right.items():
        said = getattr(story, name)
        if name == "merged":
            assert set(said) <= set(value)
        elif name == "acknowledged_at" and recovered and said is not None:
            # Journalled with the tick.
            assert 0 <= said - value <= 1, (story, right)
        elif name not in {"state", "ended", "ended_at"}:
            assert said in {None, value}, (name, story, right)


@pytest.mark.parametrize("seed", range(6))
def test_with_little_room_less_is_known_but_nothing_wrong_is_said(seed: int) -> None:
    watcher = Watcher(seed, explain_bytes=512)
    watcher.run(1500)
    chance = random.Random(seed)
    for _ in range(QUESTIONS):
        stories, right = question(watcher, chance)
        if [story.state for story in stories] == ["unknown"]:
            continue
        for story, one in zip(stories, right, strict=True):
            check_true(story, one, recovered=False)


@pytest.mark.parametrize("snapshot", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_after_a_crash_nothing_wrong_is_said_and_what_records_tell_is_known(
    seed: int, snapshot: bool
) -> None:
    watcher = Watcher(seed, explain_bytes=ROOMY)
    watcher.run(300)
    if snapshot:
        watcher.rig.engine.begin_snapshot()
        watcher.rig.soon.run()
    for _ in range(100):
        watcher.run(3)
        watcher.rig.wait(1)
    watcher.rig.recover()
    chance = random.Random(seed)
    known = 0
    for _ in range(QUESTIONS):
        shard = watcher.rig.engine.shard
        queue = chance.choice(watcher.live())
        event_id = chance.randrange(len(queue.kinds) + 1)
        story, right = shard.explain_event(queue.queue_id, event_id), watcher.event(queue, event_id)
        check_true(story, right, recovered=True)
        known += story.at is not None
    # The newest events are in the records.
    assert known > QUESTIONS // (4 if snapshot else 2)
