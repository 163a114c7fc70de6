"""`manage.py token`: issues and revokes API keys."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chat import tokens


class Command(BaseCommand):
    """The command."""

    help = "Issues a token for a user, or revokes one."

    def add_arguments(self, parser: CommandParser) -> None:
        """Its arguments."""
        parser.add_argument("username", nargs="?", help="Whose token it will be.")
        parser.add_argument("--revoke", type=int, metavar="NUMBER", help="Revoke this one.")

    def handle(self, *_arguments: Any, **options: Any) -> None:
        """Issues or revokes."""
        if options["revoke"] is not None:
            tokens.revoke(options["revoke"])
        elif options["username"]:
            number, text = tokens.issue(options["username"])
            self.stdout.write(f"token {number}: {text}")
        else:
            raise CommandError("Name a user, or a token with --revoke.")
