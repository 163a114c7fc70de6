"""State providers, declared next to the models that they read."""

from django.apps import apps

from tidewire.initial_state import StateProvider


def provide(provider: StateProvider) -> StateProvider:
    """Declares a provider, in `models.py` or in a module `live.py` of an application.

    Raises:
        ValueError: another serves the same fetch type.
    """
    providers = registered()
    if providers.setdefault(provider.fetch_type, provider) is not provider:
        raise ValueError(f"There is a provider of {provider.fetch_type!r} already")
    return provider


def registered() -> dict[str, StateProvider]:
    """The providers by fetch type."""
    found: dict[str, StateProvider] = apps.get_app_config("tidewire").providers
    return found
