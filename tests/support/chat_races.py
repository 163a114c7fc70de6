"""A program that checks the changes of the Django chat for races; `planted` checks one that has one."""

import sys

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402

from chat import changes  # noqa: E402 - Django has to be set up before its models are imported
from chat.models import Channel, Mark, Message  # noqa: E402
from support.stopwatch import Stopwatch  # noqa: E402
from tidewire.contrib.django.testing import Committed  # noqa: E402
from tidewire.testing.races import RaceChecker, RaceFound  # noqa: E402


def read_telling_first(channel: Channel, user_id: int, through: int) -> None:
    """As somebody might write it who does not know better: tells, then changes."""
    mark = Mark(channel=channel, user_id=user_id, through=through)
    changes.tell(channel, {"type": "chat_mark", "mark": mark.as_state()})
    mark.save()


def main(what: str) -> None:
    """Checks, and prints the types of the events, or how long it took and the race."""
    ada, bob = (get_user_model().objects.get(username=name) for name in ("ada", "bob"))
    channel = Channel.objects.get(name="general")
    with Committed(ada) as committed:
        checker = RaceChecker(
            read=committed.read, published=committed.notices, apply=committed.apply, user=ada.pk
        )
        if what == "planted":
            watch = Stopwatch()
            try:
                checker.check(lambda: read_telling_first(channel, bob.pk, 1))
            except RaceFound as found:
                sys.stdout.write(f"{watch.seconds}\n{found}\n")
            return
        events = checker.check(lambda: changes.say(channel, bob.pk, "hello"))
        last = Message.objects.latest("pk").pk
        events += checker.check(lambda: changes.read(channel, ada.pk, last))
        events += checker.check(lambda: changes.open_channel("new", [ada.pk, bob.pk]))
    sys.stdout.write(" ".join(event["type"] for event in events))


main(sys.argv[1])
