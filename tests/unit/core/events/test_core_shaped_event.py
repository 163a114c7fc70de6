"""One event in one shape: encoded once, judged once for each acceptance (D1, D2)."""

from support.core_rig import Rig, spec
from tidewire.core.events.acceptance import Acceptance, Event, acceptance_key
from tidewire.core.events.capabilities import Capabilities
from tidewire.core.events.coalescing import MERGE_RULES
from tidewire.core.events.narrow import Flags
from tidewire.core.events.shaped_event import Representation


class Counting(Acceptance):
    """Counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__(acceptance_key(None, (), Capabilities()))
        self.asked = 0

    def refusal(self, event: Event, flags: Flags = ()) -> str | None:
        """As the base says."""
        self.asked += 1
        return super().refusal(event, flags)


def test_an_acceptance_is_asked_once_for_the_same_flags() -> None:
    shaped = Representation({"type": "message"}, MERGE_RULES)
    acceptance = Counting()
    for flags in ((), (), ("read",), ("read",)):
        shaped.refusal(acceptance, flags)
    assert acceptance.asked == 2


def test_what_is_withheld_is_refused_by_that_rule_where_nothing_else_refuses() -> None:
    shaped = Representation({"type": "deploy"}, MERGE_RULES, withheld="a rule")
    asks, others = (Acceptance(acceptance_key((kind,), (), Capabilities())) for kind in ("deploy", "other"))
    assert (shaped.refusal(asks), shaped.refusal(others)) == ("a rule", "event_types")
    assert not shaped.encoded


def test_nothing_is_encoded_before_a_queue_needs_it() -> None:
    shaped = Representation({"type": "deploy", "id": 9}, MERGE_RULES)
    assert not shaped.encoded
    assert shaped.body is shaped.body == b'{"type":"deploy"'
    assert shaped.encoded


def test_many_queues_share_one_encoding() -> None:
    rig = Rig()
    for number in range(50):
        rig.register(spec(types=["deploy", f"other {number}"]))
    rig.publish({"type": "deploy"}, {"type": "nobody asked for it"})
    assert rig.engine.shard.statistics.encoded == 1
    bodies = {id(each.queue.entries[0][1]) for each in rig.engine.shard._state.directory}
    assert len(bodies) == 1
