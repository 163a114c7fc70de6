"""Makes the table of the outbox."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Makes the table of the outbox."""

    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel(
            name="Outgoing",
            fields=(
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=(("notice", "notice"), ("session", "revoked session")),
                        default="notice",
                        max_length=16,
                    ),
                ),
                ("content", models.TextField(help_text="The notice as JSON, or the name of the session.")),
                ("created", models.DateTimeField(auto_now_add=True)),
                ("refused", models.DateTimeField(blank=True, null=True)),
                ("reason", models.TextField(blank=True)),
            ),
            options={
                "verbose_name": "outgoing notice",
                "indexes": (models.Index(fields=("refused", "id"), name="tidewire_outgoing_waiting"),),
            },
        ),
        migrations.CreateModel(
            name="Queue",
            fields=(
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
            ),
            options={"verbose_name": "event queue", "managed": False, "default_permissions": ("view",)},
        ),
    )
