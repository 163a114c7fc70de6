"""`manage.py fill`: people and channels to try the chat with."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand

from chat.changes import open_channel

PEOPLE = ("ada", "bob", "gil")
CHANNELS = {"general": PEOPLE, "builds": ("ada", "bob")}


class Command(BaseCommand):
    """The command."""

    help = "Makes ada (who may use the admin), bob and gil, all with the password demo, and two channels."

    def handle(self, *_arguments: Any, **_options: Any) -> None:
        """Makes them, unless they are there."""
        users = get_user_model().objects
        if not users.filter(username__in=PEOPLE).exists():
            users.create_superuser("ada", "ada@chat.example", "demo")
            ids = {name: users.create_user(name, password="demo").pk for name in PEOPLE[1:]}
            ids["ada"] = users.get(username="ada").pk
            for channel, members in CHANNELS.items():
                open_channel(channel, [ids[name] for name in members])
        self.stdout.write("ada, bob and gil can log in with the password demo")
