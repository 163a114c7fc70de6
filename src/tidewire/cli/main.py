"""The `tidewire` command: its subcommands and what they have in common."""

import click

from tidewire import __version__
from tidewire.cli.check_config import check_config_command
from tidewire.cli.demo.demo_command import demo_command
from tidewire.cli.doctor import doctor_command
from tidewire.cli.dump.dump_commands import export_dump_command, import_dump_command
from tidewire.cli.errors import OneLineGroup
from tidewire.cli.inspect import (
    explain_command,
    loglevel_command,
    queue_command,
    queues_command,
    stats_command,
    top_command,
)
from tidewire.cli.nginx import nginx_command
from tidewire.cli.publish import publish_command
from tidewire.cli.replay import replay_command
from tidewire.cli.restart import restart_command
from tidewire.cli.serve import serve_command
from tidewire.cli.shards.shards_commands import shards_command
from tidewire.cli.tail import tail_command


@click.group(cls=OneLineGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tidewire", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Tidewire, a real-time event-queue server."""


main.add_command(serve_command)
main.add_command(demo_command)
main.add_command(publish_command)
main.add_command(tail_command)
main.add_command(queues_command)
main.add_command(queue_command)
main.add_command(explain_command)
main.add_command(stats_command)
main.add_command(top_command)
main.add_command(check_config_command)
main.add_command(import_dump_command)
main.add_command(export_dump_command)
main.add_command(replay_command)
main.add_command(doctor_command)
main.add_command(nginx_command)
main.add_command(restart_command)
main.add_command(shards_command)
main.add_command(loglevel_command)
