"""Publishing through RabbitMQ: straight into the shards' queues, with the broker's confirms (needs `tidewire[rabbitmq]`)."""

import asyncio
import json
import os
import random
import threading
import urllib.parse
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from tidewire._amqp.broker import BrokerLost, connect, urls_of
from tidewire._amqp.confirms import PublishOutcome, Sender
from tidewire._amqp.names import PARTS
from tidewire._http import Backoff, BadUrl
from tidewire.publisher.errors import BAD_SHARD_MAP, PublishFailed
from tidewire.publisher.map_fence import Fences
from tidewire.publisher.map_reader import MapFile
from tidewire.publisher.notice_check import check_notice
from tidewire.publisher.notice_encoding import encode_notice
from tidewire.publisher.routing import OneShard, ShardQueues, routed

FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0
AT_A_TIME = 500
"""Messages published before their confirms are waited for: enough to hide the way, little to hold."""


Shards: TypeAlias = ShardQueues | MapFile | None


class _Message(NamedTuple):
    queue: str
    body: bytes
    notice_id: str
    headers: Mapping[str, str] | None


class Session:
    """One connection on one loop, made when it is needed and again when it was lost."""

    def __init__(self, url: str, *, shards: Shards, timeout: float, retry_for: float) -> None:
        """Takes the broker's address and options as `Publisher` documents them.

        Raises:
            BadUrl: `url` can't be used.
        """
        _check_url(url)
        self._url = url
        self._fixed = None if isinstance(shards, MapFile) else shards or OneShard()
        self._file = shards if isinstance(shards, MapFile) else None
        self._fences = None if self._file is None else Fences(self._file)
        self._timeout = timeout
        self._retry_for = retry_for
        self._sender: Sender | None = None
        self._known: set[str] = set()
        self._turn = asyncio.Lock()
        self._is_closed = False

    async def close(self) -> None:
        """Disconnects."""
        async with self._turn:
            self._is_closed = True
            await self._drop()

    async def deliver(self, batch: Sequence[Mapping[str, Any]]) -> int:
        """Publishes notices that have ids; returns how many, once the broker has all of them.

        Raises:
            PublishFailed: one is wrong and nothing was sent, or the broker did not confirm in time.
        """
        for index, notice in enumerate(batch):
            check_notice(index, notice)
        backoff = Backoff(first=FIRST_DELAY, limit=LONGEST_DELAY, random=random.random)
        async with self._turn:
            self._check_open()
            if self._file is not None:
                self._file.look()
                await self._change_maps()
            messages = self._messages(batch)
            if self._fences is not None:
                self._fences.used.update(message.queue for message in messages)
            deadline = asyncio.get_running_loop().time() + self._retry_for
            while True:
                messages, problem = await self._attempt(messages, deadline)
                if not messages:
                    return len(batch)
                delay = backoff.next_delay()
                if asyncio.get_running_loop().time() + delay >= deadline:
                    raise _not_confirmed(problem, batch, messages)
                await asyncio.sleep(delay)

    async def reload(self) -> int:
        """Reads the map again; returns the version that is in force then.

        Raises:
            PublishFailed: it can't be used (`BAD_SHARD_MAP`), and the one before stays in force; or there is none.
        """
        if self._file is None:
            raise PublishFailed("The publisher was made without a shard map", code=BAD_SHARD_MAP)
        async with self._turn:
            self._check_open()
            self._file.load()
            if self._fences is not None:
                self._fences.try_again()
            await self._change_maps()
        return self._file.shards.map.version

    def _check_open(self) -> None:
        if self._is_closed:
            raise PublishFailed("The publisher is closed", code="PUBLISHER_CLOSED")

    async def _change_maps(self) -> None:
        if self._fences is not None:
            await self._fences.change_maps(self._open)

    def _messages(self, batch: Sequence[Mapping[str, Any]]) -> list[_Message]:
        shards = self._fixed or (self._file and self._file.shards) or OneShard()
        found: list[_Message] = []
        for index, notice in enumerate(batch):
            parts = _parts(index, notice, shards)
            headers = None if isinstance(shards, OneShard) else {PARTS: ",".join(parts)}
            found += [
                _Message(queue, encode_notice(index, part), notice["id"], headers)
                for queue, part in parts.items()
            ]
        return found

    async def _attempt(self, messages: list[_Message], deadline: float) -> tuple[list[_Message], str]:
        """Tries once; returns what is not confirmed, in order, and why."""
        patience = max(0.001, min(self._timeout, deadline - asyncio.get_running_loop().time()))
        left = messages
        try:
            async with asyncio.timeout(patience):
                while left:
                    part = left[:AT_A_TIME]
                    failed, problem = await self._publish(part)
                    left = failed + left[AT_A_TIME:]
                    if failed:
                        return left, problem
        except BrokerLost as error:
            return left, str(error)
        except TimeoutError:
            # What is on its way may still arrive; another connection must not wait behind it.
            await self._drop()
            return left, f"The broker did not confirm within {patience:g} seconds"
        return left, ""

    async def _publish(self, messages: list[_Message]) -> tuple[list[_Message], str]:
        sender = await self._open()
        for queue in {message.queue for message in messages} - self._known:
            await sender.connection.ensure_queue(queue)
            self._known.add(queue)
        waiting = [
            sender.publish(message.queue, message.body, message_id=message.notice_id, headers=message.headers)
            for message in messages
        ]
        fates = [await each for each in waiting]
        if PublishOutcome.UNROUTABLE in fates:
            self._known.clear()
        failed = [
            message
            for message, fate in zip(messages, fates, strict=True)
            if fate is not PublishOutcome.CONFIRMED
        ]
        reasons = {outcome.value for outcome in fates if outcome is not PublishOutcome.CONFIRMED}
        return failed, f"The broker did not confirm: {', '.join(sorted(reasons))}"

    async def _open(self) -> Sender:
        if self._sender is None or not self._sender.is_open:
            await self._drop()
            connection = await connect(self._url, name="tidewire publisher", timeout=self._timeout)
            self._sender = await Sender.on(connection)
            self._known.clear()
        return self._sender

    async def _drop(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            await sender.connection.close()


class AmqpTransport:
    """A session on a thread of its own, so that its connection lives while nobody publishes."""

    def __init__(self, url: str, *, shards: Shards, timeout: float, retry_for: float) -> None:
        """Takes the broker's address and options as `Publisher` documents them."""
        _check_url(url)
        self._url = url
        self._shards = shards
        self._timeout = timeout
        self._retry_for = retry_for
        self._turn = threading.Lock()
        self._is_closed = False
        self._process = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._session: Session | None = None

    def deliver(self, batch: Sequence[Mapping[str, Any]]) -> int:
        """Publishes notices that have ids; returns how many, once the broker has confirmed all."""
        return self._do(lambda session: session.deliver(batch))

    def reload(self) -> int:
        """Reads the shard map again and returns the version in force; raises `PublishFailed` if it is invalid."""
        return self._do(lambda session: session.reload())

    def _do(self, what: Callable[[Session], Coroutine[Any, Any, int]]) -> int:
        with self._turn:
            if self._is_closed:
                raise PublishFailed("The publisher is closed", code="PUBLISHER_CLOSED")
            loop, session = self._running()
        doing = asyncio.run_coroutine_threadsafe(what(session), loop)
        try:
            return doing.result()
        except BaseException:
            doing.cancel()
            raise

    def close(self) -> None:
        """Disconnects, and ends the thread."""
        with self._turn:
            self._is_closed = True
            loop, session, thread = self._loop, self._session, self._thread
            self._loop = self._session = self._thread = None
        if loop is None or session is None or thread is None or self._process != os.getpid():
            return
        asyncio.run_coroutine_threadsafe(session.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def _running(self) -> tuple[asyncio.AbstractEventLoop, Session]:
        if self._loop is None or self._session is None or self._process != os.getpid():
            # A fork has no threads; the parent's connection is the parent's.
            self._process = os.getpid()
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._loop.run_forever, name="tidewire-publisher", daemon=True
            )
            self._thread.start()
            self._session = Session(
                self._url, shards=self._shards, timeout=self._timeout, retry_for=self._retry_for
            )
        return self._loop, self._session


def _parts(index: int, notice: Mapping[str, Any], shards: ShardQueues) -> Mapping[str, Mapping[str, Any]]:
    try:
        return dict(routed(notice, shards))
    except (TypeError, ValueError, RecursionError):
        # Mostly it has no JSON form, which is said here; else keys could not be sorted that JSON makes text of.
        return dict(routed(json.loads(encode_notice(index, notice)), shards))


def _not_confirmed(
    problem: str, batch: Sequence[Mapping[str, Any]], messages: Sequence[_Message]
) -> PublishFailed:
    unconfirmed: dict[str, list[str]] = {}
    for message in messages:
        unconfirmed.setdefault(message.queue, []).append(message.notice_id)
    queues = ", ".join(f"{len(ids)} for {queue}" for queue, ids in unconfirmed.items())
    return PublishFailed(
        f"{problem} (parts of notices not confirmed: {queues})",
        code="CONNECTION_FAILED",
        http_status=503,
        retry_helps=True,
        notice_ids=[str(notice["id"]) for notice in batch],
        unconfirmed=unconfirmed,
    )


def _check_url(url: str) -> None:
    try:
        parts = map(urllib.parse.urlsplit, urls_of(url))
        usable = all(bool(one.hostname) and one.port != 0 for one in parts)
    except ValueError:
        usable = False
    if not usable:
        raise BadUrl(
            "The broker's address must be amqp://user:password@host:port/vhost, with commas between several hosts"
        )
