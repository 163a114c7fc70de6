"""`python -m tidewire` is the `tidewire` command."""

from tidewire.cli.main import main

main(prog_name="tidewire")
