"""Puts together where the initial state comes from, as the settings and the embedding program have it."""

from collections.abc import Iterable

from structlog.typing import FilteringBoundLogger

from tidewire._http.bounded import Caller
from tidewire.config import Settings
from tidewire.config.plugins import load_providers
from tidewire.initial_state import StateProvider, StateSource
from tidewire.initial_state.callback import CallbackSource
from tidewire.initial_state.combined import Assembly
from tidewire.initial_state.functions import FunctionsSource
from tidewire.initial_state.users_file_source import DefaultSource, Users


def state_source(
    settings: Settings,
    *,
    users: Users,
    secret: str,
    providers: Iterable[StateProvider],
    log: FilteringBoundLogger,
) -> StateSource | None:
    """Where `register` has the state from; None when nobody provides any.

    Of a member that several have, the application's function says it, else the application over HTTP, else the
    users file.

    Raises:
        ConfigError: `state.modules` names what there is not.
    """
    state = settings.state
    own = (*load_providers(state.modules), *providers)
    sources: list[StateSource] = []
    if state.defaults:
        sources.append(DefaultSource(users, max_users=state.max_users))
    if state.callback_url:
        caller = Caller(
            state.callback_url,
            timeout=state.callback_timeout,
            max_bytes=state.callback_max_bytes,
            headers=(("Authorization", f"Bearer {secret}"),),
        )
        sources.append(
            CallbackSource(
                caller,
                attempts=state.callback_attempts,
                report=lambda step, error: log.warning("state callback failed", step=step, error=str(error)),
            )
        )
    if own:
        sources.append(
            FunctionsSource(
                own,
                report=lambda fetch_type, step, error: log.error(
                    "state provider failed", fetch_type=fetch_type, step=step, exc_info=error
                ),
            )
        )
    return Assembly(sources, timeout=state.timeout) if sources else None
