"""Acknowledgements cover everything before them, so they come in order."""

from tidewire.bus.acks import Acknowledger, PublishAck


def test_nothing_is_acknowledged_before_what_came_earlier() -> None:
    told: list[int] = []
    acknowledger = Acknowledger(told.append)
    first, second, third = (
        acknowledger.begin(last, count, now=float(last)) for last, count in ((2, 2), (3, 1), (9, 6))
    )
    acknowledger.finish(second)
    acknowledger.finish(first)
    assert told == []
    assert (acknowledger.open, acknowledger.oldest) == (7, 2.0)
    acknowledger.finish(first)
    assert told == [3]
    PublishAck(acknowledger, third).complete(6)
    assert told == [3, 9]
    assert (acknowledger.open, acknowledger.oldest) == (0, None)
    assert acknowledger.is_idle
