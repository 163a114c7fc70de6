"""How commands fail: one line on standard error that says what to do, and an exit code."""

import contextlib
import signal
import sys
import traceback
from collections.abc import Iterator
from typing import Any, NoReturn

import click

from tidewire import TidewireError
from tidewire.config import ConfigError

FAILED = 1
WRONG_USAGE = 2
"""Also of a configuration that can't be used."""


class OneLineGroup(click.Group):
    """A command group whose errors are one line each; `--debug` adds the traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the command line and exits."""
        kwargs["standalone_mode"] = False
        if not args and kwargs.get("args") is None:
            # Understood in any place: whoever meets an error puts it at the end.
            kwargs["args"] = [argument for argument in sys.argv[1:] if argument != "--debug"]
        try:
            with _ended_by_sigterm():
                super().main(*args, **kwargs)
        except click.exceptions.Exit as ended:
            sys.exit(ended.exit_code)
        except (click.Abort, KeyboardInterrupt):
            sys.exit(FAILED)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            sys.exit(error.exit_code)
        except click.ClickException as error:
            fail(_with_hint(error), error.exit_code)
        except ConfigError as error:
            fail(str(error), WRONG_USAGE)
        except TidewireError as error:
            fail(str(error), FAILED)
        sys.exit(0)


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Has SIGTERM end a command as Ctrl-C does, so that it removes what it has half written."""
    earlier = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _with_hint(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f" (see {context.command_path} --help)" if context is not None else ""
    return error.format_message() + hint


def fail(sentence: str, code: int) -> None:
    """Ends the process with a sentence."""
    if "--debug" in sys.argv:
        traceback.print_exc()
    click.echo(f"tidewire: {sentence}", err=True)
    sys.exit(code)
