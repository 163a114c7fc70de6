"""The outbox: notices for the server, written in the transaction that they report."""

from django.db import models


class Outgoing(models.Model):
    """One notice or revocation to be sent.

    It is there until the server has confirmed it. What the server refuses for good stays, with the reason, and holds up
    nothing behind it.
    """

    class Kind(models.TextChoices):
        """The kinds of rows in the outbox."""

        NOTICE = "notice", "notice"
        SESSION = "session", "revoked session"

    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.NOTICE)
    content = models.TextField(help_text="The notice as JSON, or the name of the session.")
    created = models.DateTimeField(auto_now_add=True)
    refused = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True)

    class Meta:
        """Rows are sent in the order in which they were written."""

        verbose_name = "outgoing notice"
        indexes = (models.Index(fields=("refused", "id"), name="tidewire_outgoing_waiting"),)

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"


class Queue(models.Model):
    """A queue of the server's, for the admin alone: there is no table, the page asks the server."""

    class Meta:
        """The model has no table; the admin shows the server's queues by it."""

        managed = False
        verbose_name = "event queue"
        default_permissions = ("view",)

    def __str__(self) -> str:
        return "event queue"
