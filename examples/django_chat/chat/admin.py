"""The chat in the admin."""

from django.contrib import admin

from chat.models import Channel, Mark, Message, Token

admin.site.register((Channel, Mark, Message, Token))
