"""A queue of another user and one that there is not: the same answer by the same way, so that its time tells nothing."""

import sys
from pathlib import Path
from types import FrameType
from typing import Self

import pytest

from support.lane_server import lane_server
from support.raw_http import request_bytes
from support.server_process import credentials
from support.site import LocalSite, local_site

PROJECT = Path(__file__).parents[2].as_posix()


class Calls:
    """The functions of ours that were called, in order."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __enter__(self) -> Self:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and "/src/tidewire/" in frame.f_code.co_filename:
            self.names.append(frame.f_code.co_qualname)


async def queues(local: LocalSite) -> tuple[str, str]:
    """Bob's queue, and one that there is not, with ids of one length."""
    foreign = await local.register("bob")
    return foreign, "x" * len(foreign)


def poll(queue_id: str, *, odd: bool) -> bytes:
    query = {"queue_id": queue_id, "last_event_id": -1, "dont_block": True}
    headers = {**credentials("ada"), **({"origin": "null"} if odd else {})}
    return request_bytes("GET", "/api/v1/events", query=query, headers=headers)


@pytest.mark.parametrize("odd", [False, True], ids=["on the lane", "on the ordinary route"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_both_are_answered_alike_by_the_same_steps(tmp_path: Path, odd: bool, method: str) -> None:
    local = local_site(tmp_path)
    foreign, unknown = await queues(local)
    async with lane_server(local) as server:
        steps = []
        for queue_id in (unknown, foreign) * 2:  # the first of each kind may make what is kept
            async with await server.connect() as peer:
                request = poll(queue_id, odd=odd).replace(b"GET", method.encode(), 1)
                with Calls() as calls:
                    peer.send(request)
                    answer = await peer.answer()
                steps.append((calls.names, answer.replace(queue_id.encode(), b"QUEUE")))
    assert steps[2] == steps[3]
    assert b'"reason":"unknown"' in steps[3][1]
    assert "ForeignQueues.note" in steps[3][0]


async def test_who_asked_is_in_the_log_a_moment_later(tmp_path: Path) -> None:
    """R11.9."""
    local = local_site(tmp_path)
    foreign, unknown = await queues(local)
    for queue_id in (foreign, unknown):
        answer = await local.ask(
            "ada", "GET", "/api/v1/events", query={"queue_id": queue_id, "last_event_id": -1}
        )
        assert answer.status == 400
    assert "another user" not in local.log_stream.getvalue()
    (entry,) = local.logged("queue of another user asked for")
    assert (entry["queue_id"], entry["user_id"], entry["owner"]) == (foreign, 1, 2)
    assert local.logged("queue of another user asked for") == [entry]
