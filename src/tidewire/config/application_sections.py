"""The settings of what the server has from an application: who its users are, and their state."""

from tidewire.config.kinds import File, Flag, Integer, ListOf, Text
from tidewire.config.naming import PATTERN
from tidewire.config.setting import Setting

URL = r"https?://[^\s/?#@]+(?:[/?][^\s#]*)?"
"""Without credentials, which would stand in logs."""

AUTH = (
    Setting(
        name="auth.users_file",
        kind=File(),
        default="users.toml",
        meaning="The file of realms and users; it is read again when it changes.",
    ),
)

STATE = (
    Setting(
        name="state.modules",
        kind=ListOf(Text(expected="names such as module:NAME", pattern=PATTERN)),
        default=(),
        meaning="The application's own state providers, each a provider, a list of them, or a function that gives them; modules are looked for among the installed ones, then in the working directory.",
    ),
    Setting(
        name="state.callback_url",
        kind=Text(
            expected="an address such as http://127.0.0.1:8000/state/, or an empty string",
            pattern=f"(?:{URL})?",
        ),
        default="",
        meaning="Where the application is asked for the initial state, with the shared secret; empty when it is not.",
    ),
    Setting(
        name="state.callback_timeout",
        kind=Integer(minimum=1, maximum=60),
        default=5,
        meaning="How long one request to `state.callback_url` may take.",
        unit="seconds",
    ),
    Setting(
        name="state.callback_attempts",
        kind=Integer(minimum=1, maximum=5),
        default=2,
        meaning="How often a request to `state.callback_url` that failed is made, in all.",
        unit="attempts",
    ),
    Setting(
        name="state.callback_max_bytes",
        kind=Integer(minimum=1024),
        default=16_777_216,
        meaning="How large an answer of `state.callback_url` may be.",
        unit="bytes",
    ),
    Setting(
        name="state.timeout",
        kind=Integer(minimum=1, maximum=80),
        default=10,
        meaning="How long reading the initial state may take, with all attempts; then the queue is ended and the client told to try again.",
        unit="seconds",
    ),
    Setting(
        name="state.defaults",
        kind=Flag(),
        default=True,
        meaning="Whether `register` answers with what published clients look for, from the users file and otherwise empty, where the application provides nothing.",
    ),
)
