"""The `tidewire` command, also as `python -m tidewire`."""

import importlib
import signal
import sys


def main() -> None:
    """Runs the command.

    What a server needs takes a moment to be loaded, and a SIGHUP in that moment asks for nothing but what is about to be
    read anyway. So it is taken first of all; what isn't a server ends with its terminal, as ever.
    """
    if "serve" in sys.argv[1:]:
        signal.signal(signal.SIGHUP, lambda *_: None)
    importlib.import_module("tidewire.cli.main").main(prog_name="tidewire")


if __name__ == "__main__":
    main()
