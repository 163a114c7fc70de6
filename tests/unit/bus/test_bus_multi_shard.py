"""Notices of the bus that concern other shards too: what becomes of each."""

import io
import json
from collections.abc import Sequence

from tidewire._amqp.broker import Delivery
from tidewire.bus.decoding import Incoming
from tidewire.bus.multi_shard import Sharer
from tidewire.core.errors import InvalidNotice, Unavailable, WireError
from tidewire.core.notices.notice import Notice, decode_notice
from tidewire.observability.log import build_log
from tidewire.ports.bus import MultiShardPublish


class Scripted(MultiShardPublish):
    """Raises what it is told to, for notices that it is told of."""

    def __init__(self, faults: dict[str, Exception], *, says_which: bool = True) -> None:
        self.faults = faults
        self.says_which = says_which
        self.tried: list[list[str]] = []

    def is_all_for_here(self, notices: Sequence[Notice]) -> bool:
        """Never."""
        return not notices

    async def carry_out(self, notices: Sequence[Notice]) -> None:
        """Notes the ids."""
        self.tried.append([notice.id or "" for notice in notices])
        for place, notice in enumerate(notices):
            fault = self.faults.get(notice.id or "")
            if isinstance(fault, WireError) and self.says_which and not fault.retry_helps:
                fault.data["index"] = place
            if fault is not None:
                raise fault


def incoming(*ids: str) -> list[Incoming]:
    found = []
    for tag, name in enumerate(ids, 1):
        body = json.dumps({"id": name, "event": {"type": "x"}, "users": [1]}).encode()
        found.append(Incoming(Delivery(tag, False, name, body), decode_notice(body), 0, False))
    return found


async def shared(sharing: Scripted, *ids: str) -> tuple[list[str], list[str], list[str], list[str]]:
    """Who was done, is left, was buried and was sent back."""
    buried: list[str] = []
    back: list[str] = []
    sharer = Sharer(
        sharing,
        bury=lambda each, _error: buried.append(str(each.notice.id)),
        send_back=lambda each: back.append(str(each.notice.id)),
        log=build_log(form="json", level="error", stream=io.StringIO()),
    )
    done, left, error = await sharer.share(incoming(*ids))
    assert (error is None) == (not left)
    return [str(each.notice.id) for each in done], [str(each.notice.id) for each in left], buried, back


async def test_a_batch_is_carried_out_as_one() -> None:
    sharing = Scripted({})
    assert await shared(sharing, "a", "b") == (["a", "b"], [], [], [])
    assert sharing.tried == [["a", "b"]]


async def test_one_that_is_wrong_is_buried_and_the_others_are_carried_out() -> None:
    sharing = Scripted({"b": InvalidNotice("wrong")})
    assert await shared(sharing, "a", "b", "c") == (["a", "c"], [], ["b"], [])


async def test_which_one_is_wrong_is_found_out_if_nobody_says_so() -> None:
    sharing = Scripted({"b": InvalidNotice("wrong")}, says_which=False)
    assert await shared(sharing, "a", "b", "c") == (["a", "c"], [], ["b"], [])


async def test_what_can_t_be_carried_out_now_is_left_with_all_that_follows() -> None:
    sharing = Scripted({"b": Unavailable("later")})
    assert await shared(sharing, "a", "b", "c") == ([], ["a", "b", "c"], [], [])


async def test_a_fault_sends_back_the_one_that_it_comes_from() -> None:
    sharing = Scripted({"b": RuntimeError("fault")})
    assert await shared(sharing, "a", "b", "c") == (["a", "c"], [], [], ["b"])


async def test_those_after_one_that_was_found_out_are_carried_out_as_one_again() -> None:
    sharing = Scripted({"b": RuntimeError("fault")})
    assert await shared(sharing, "a", "b", "c", "d") == (["a", "c", "d"], [], [], ["b"])
    assert sharing.tried == [["a", "b", "c", "d"], ["a"], ["b"], ["c", "d"]]


async def test_whole_and_split_notices_are_carried_out_as_one() -> None:
    sharing = Scripted({})
    mixed = incoming("a", "b", "c", "d")
    for each in mixed[::2]:
        each.notice.parted = frozenset({"queue"})
    sharer = Sharer(
        sharing,
        bury=lambda _each, _error: None,
        send_back=lambda _each: None,
        log=build_log(form="json", level="error", stream=io.StringIO()),
    )

    assert await sharer.share(mixed) == (mixed, [], None)
    assert sharing.tried == [["a", "b", "c", "d"]]
