"""The application as Django knows it; it holds what models declare when they are loaded."""

from typing import Any

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_out
from django.core.checks import Tags, register
from django.utils.module_loading import autodiscover_modules

from tidewire.contrib.django.checks import check_outbox, check_settings
from tidewire.contrib.django.logout import on_logout
from tidewire.initial_state import StateProvider


class TidewireConfig(AppConfig):
    """The Django application: its outbox and checks."""

    name = "tidewire.contrib.django"
    label = "tidewire"
    verbose_name = "Tidewire"
    default_auto_field = "django.db.models.BigAutoField"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.providers: dict[str, StateProvider] = {}
        """By fetch type; `provide` fills it."""

    def ready(self) -> None:
        """Loads the module `live` of every application, and begins to listen."""
        autodiscover_modules("live")
        user_logged_out.connect(on_logout, dispatch_uid="tidewire")
        register(check_settings, Tags.compatibility)
        register(check_outbox, Tags.database)
