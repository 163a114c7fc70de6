"""`message`: a new message, to those it is for and to those who hear public channels (R4.6-R4.19).

Recipients with the same flags and the same right to see the sender are alike. For each such audience, what a kind
of queue gets is worked out once; a queue then costs one look-up and one push.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from tidewire.core.delivery.dispatch import Dispatch
from tidewire.core.delivery.message_payload import CHANNEL, MessageTemplate, ShapedMessage, read_template
from tidewire.core.errors import InvalidNotice
from tidewire.core.events.acceptance import Acceptance, Event
from tidewire.core.events.encoding import encode_suffix
from tidewire.core.events.shape import MIRROR, Shape
from tidewire.core.events.shaped_event import Representation
from tidewire.core.ids import RealmId
from tidewire.core.notices.notice import Notice
from tidewire.core.notifications.decisions import PendingNotification
from tidewire.core.queues.descriptor import Descriptor

MIRROR_LOOP = "mirror_loop"
"""The rule that keeps a bridge's messages from the bridge itself (R4.10.7)."""


def check(event: Event) -> None:
    """The members that decide who gets what.

    Raises:
        InvalidNotice: one is missing or of the wrong type.
    """
    try:
        read_template(event)
    except msgspec.ValidationError as error:
        raise InvalidNotice(f"Invalid notice: the event of type message is wrong: {error}") from None


def process(notice: Notice, dispatch: Dispatch[Any]) -> None:
    """Delivers the message: first to the firehose, then to the users it names, whose flags count (R4.8)."""
    template = read_template(notice.event)
    delivery = _Delivery(notice, template, dispatch)
    hidden_from = template.user_ids_without_access_to_sender or frozenset()
    for descriptor in _firehose(template, dispatch):
        user_id = descriptor.spec.user_id
        if user_id not in notice.users:
            delivery.put(descriptor, delivery.audience((), user_id not in hidden_from))
    missed = dispatch.missed
    for user_id in dispatch.recipients(notice):
        said = notice.users[user_id]
        queues = dispatch.queues_of(user_id)
        if queues:
            audience = delivery.audience(tuple(said.get("flags", ())), user_id not in hidden_from)
            kept = missed.get(user_id)
            for descriptor in queues:
                delivery.put(descriptor, audience, kept)


def _firehose(template: MessageTemplate, dispatch: Dispatch[Any]) -> Iterable[Descriptor[Any]]:
    if template.stream_name is None or template.realm_id is None or template.invite_only:
        return ()
    # The name that narrows are held against.
    channel = template.message_dict.display_recipient if template.message_dict.type == CHANNEL else None
    return dispatch.public_listeners(RealmId(template.realm_id), channel)


class _Audience(dict[tuple[Shape, Acceptance], "Representation | str"]):
    """Recipients with the same flags and the same right to see the sender.

    Says for each kind of queue which bytes it gets, or the name of the rule that refuses.
    """

    __slots__ = ("_delivery", "flags", "sees_sender", "suffix")

    def __init__(self, delivery: "_Delivery", flags: tuple[str, ...], sees_sender: bool) -> None:
        super().__init__()
        self._delivery = delivery
        self.flags = flags
        self.sees_sender = sees_sender
        self.suffix = delivery.suffix(flags)

    def __missing__(self, kind: tuple[Shape, Acceptance]) -> Representation | str:
        verdict = self[kind] = self._delivery.judge(*kind, self)
        return verdict


class _Delivery:
    """One message on its way, with everything about it that is worked out once."""

    def __init__(self, notice: Notice, template: MessageTemplate, dispatch: Dispatch[Any]) -> None:
        self._dispatch = dispatch
        self._message = ShapedMessage(
            notice.event, template, presentation=dispatch.presentation, represent=dispatch.represent
        )
        client = template.message_dict.client
        self._loops_to = client.lower() if MIRROR in client else None
        self._echo = None if template.local_id is None else template.sender_queue_id
        self._local_id = template.local_id
        self._audiences: dict[tuple[tuple[str, ...], bool], _Audience] = {}
        self._suffixes: dict[tuple[str, ...], bytes] = {}

    def audience(self, flags: tuple[str, ...], sees_sender: bool) -> _Audience:
        """The audience that a recipient belongs to."""
        key = (flags, sees_sender)
        audience = self._audiences.get(key)
        if audience is None:
            audience = self._audiences[key] = _Audience(self, flags, sees_sender)
        return audience

    def suffix(self, flags: tuple[str, ...]) -> bytes:
        """What a recipient with these flags adds; encoded once."""
        if flags not in self._suffixes:
            self._suffixes[flags] = encode_suffix({"flags": flags})
        return self._suffixes[flags]

    def judge(self, shape: Shape, acceptance: Acceptance, audience: _Audience) -> Representation | str:
        """What a kind of queue gets, or the first rule that refuses, in the order of R4.10."""
        if not acceptance.accepts_messages:
            return "event_types"
        shaped = self._message.for_reader(shape, sees_sender=audience.sees_sender)
        refusal = shaped.refusal(acceptance, audience.flags)
        if refusal is None and shape.client_class.lower() == self._loops_to:
            refusal = MIRROR_LOOP
        return shaped if refusal is None else refusal

    def put(
        self, descriptor: Descriptor[Any], audience: _Audience, missed: PendingNotification | None = None
    ) -> None:
        """Puts the message in a queue, unless its kind is refused."""
        dispatch = self._dispatch
        try:
            verdict = audience[descriptor.shape, descriptor.acceptance]
            if isinstance(verdict, str):
                dispatch.refuse(descriptor, "message", verdict)
            elif descriptor.queue_id != self._echo:
                dispatch.push(descriptor, verdict, audience.suffix, missed)
            else:
                members = {"flags": audience.flags, "local_message_id": self._local_id}
                dispatch.push(descriptor, verdict, encode_suffix(members), missed)
        except Exception as error:  # noqa: BLE001 - whatever one queue's rules do, the others get theirs (D9)
            dispatch.fail("message", descriptor, error)
