"""Records survive the journal, byte for byte where it matters."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.json_values import JSON_VALUES, TEXT
from tidewire.core.events.capabilities import CAPABILITY_NAMES, Capabilities
from tidewire.core.ids import RealmId, UserId
from tidewire.core.notifications.worker_records import NotificationDecision
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.records import (
    REASONS,
    Acknowledged,
    Adopted,
    Agreed,
    Announced,
    Brought,
    Closed,
    Moved,
    Moving,
    Outcome,
    PartialDelivery,
    Published,
    QueuePolled,
    Record,
    Registered,
    Remapped,
    Removed,
    Sealed,
    Settled,
    Ticked,
    decode_record,
    encode_record,
)

IDS = st.integers(0, 2**63 - 1)
TIMES = st.floats(0, 1e11)
SPECS = st.builds(
    QueueSpec,
    user_id=IDS.map(UserId),
    realm_id=IDS.map(RealmId),
    event_types=st.none() | st.lists(TEXT, max_size=3).map(tuple),
    narrow=st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple),
    all_public_streams=st.booleans(),
    may_access_public_channels=st.booleans(),
    client_type_name=TEXT,
    capabilities=st.fixed_dictionaries({name: st.booleans() for name in CAPABILITY_NAMES}).map(
        lambda declared: Capabilities(**declared)
    ),
    idle_timeout=IDS,
)
PRUNED = st.none() | st.integers(-1, 2**63 - 1)
MANY_IDS = st.lists(IDS, max_size=3).map(tuple)
NAMES = st.lists(TEXT, max_size=3).map(tuple)
NOTIFIED = st.lists(
    st.builds(
        NotificationDecision, IDS.map(UserId), IDS, st.none() | TEXT, st.none() | TEXT, st.none() | IDS
    ),
    max_size=2,
).map(tuple)
RECORDS: st.SearchStrategy[Record] = st.one_of(
    st.builds(Registered, TIMES, TEXT, SPECS),
    st.builds(
        Published,
        TIMES,
        st.lists(st.binary(max_size=40), max_size=3).map(tuple),
        st.lists(st.builds(Outcome, IDS, NOTIFIED), max_size=2).map(tuple),
        st.lists(st.builds(PartialDelivery, IDS, MANY_IDS, MANY_IDS, st.booleans()), max_size=2).map(tuple),
    ),
    st.builds(Remapped, TIMES, IDS, st.binary(max_size=9), st.binary(max_size=9), IDS, MANY_IDS),
    st.builds(Agreed, TIMES),
    st.builds(Moving, TIMES, IDS, MANY_IDS),
    st.builds(Moved, TIMES, MANY_IDS),
    st.builds(
        Brought,
        TIMES,
        TEXT,
        IDS,
        st.lists(st.tuples(TEXT, st.binary(max_size=16), TIMES), max_size=3).map(tuple),
    ),
    st.builds(
        Adopted,
        TIMES,
        st.lists(st.tuples(IDS, st.lists(st.tuples(TEXT, IDS), max_size=2).map(tuple)), max_size=2).map(
            tuple
        ),
        st.lists(st.tuples(TEXT, st.binary(max_size=16), TIMES, MANY_IDS), max_size=2).map(tuple),
    ),
    st.builds(Closed, TIMES),
    st.builds(Settled, TIMES, IDS),
    st.builds(Removed, TIMES, TEXT, st.sampled_from(REASONS), NOTIFIED),
    st.builds(Acknowledged, TIMES, TEXT, IDS),
    st.builds(Sealed, TEXT, PRUNED, st.integers(-1, 2**62), st.integers(0, 2**62)),
    st.builds(
        Ticked,
        TIMES,
        st.lists(st.builds(QueuePolled, TEXT, PRUNED, TIMES), max_size=3).map(tuple),
        NAMES,
        NAMES,
        NAMES,
        IDS,
        NOTIFIED,
    ),
    st.builds(
        Announced,
        TIMES,
        st.dictionaries(TEXT, JSON_VALUES.filter(lambda value: not _has_long_integer(value)), max_size=3),
        NAMES,
    ),
)


def _has_long_integer(value: object) -> bool:
    """The shard's own events hold no integers beyond 64 bits, which MessagePack has not."""
    if isinstance(value, int):
        return not -(2**63) <= value < 2**64
    if isinstance(value, dict):
        return any(map(_has_long_integer, value.values()))
    return isinstance(value, list) and any(map(_has_long_integer, value))


@given(RECORDS)
def test_a_record_is_decoded_to_what_was_encoded(record: Record) -> None:
    assert decode_record(encode_record(record)) == record
    assert encode_record(decode_record(encode_record(record))) == encode_record(record)


@given(RECORDS, st.data())
def test_a_record_that_was_cut_off_is_recognised(record: Record, data: st.DataObject) -> None:
    encoded = encode_record(record)
    with pytest.raises(msgspec.DecodeError):
        decode_record(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


def test_a_damaged_text_is_a_decode_error_like_any_other_damage() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_record(encode_record(Removed(0.0, "name", "expired")).replace(b"name", b"na\xffe"))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_record_or_a_decode_error(data: bytes) -> None:
    try:
        record = decode_record(data)
    except msgspec.DecodeError:
        return
    assert decode_record(encode_record(record)) == record
