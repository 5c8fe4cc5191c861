"""The table that billing's migrations made."""

import django.utils.timezone
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    initial = True
    dependencies = [("billing", "0006_outbox_moves_out")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="OutboxMessage",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("kind", models.CharField(max_length=60)),
                        ("key", models.CharField(help_text="Idempotency: one piece of work a key, for ever.", max_length=200, unique=True)),
                        ("payload", models.JSONField(default=dict)),
                        ("state", models.CharField(choices=[("pending", "Pending"), ("done", "Done"), ("given_up", "Given up")], default="pending", max_length=10)),
                        ("attempts", models.PositiveIntegerField(default=0)),
                        ("next_attempt_at", models.DateTimeField(default=django.utils.timezone.now)),
                        ("error", models.CharField(blank=True, help_text="Why the last attempt did not do it.", max_length=200)),
                        ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                        ("done_at", models.DateTimeField(blank=True, null=True)),
                    ],
                    options={
                        "ordering": ["-id"],
                        "indexes": [
                            models.Index(condition=Q(("state", "pending")), fields=["next_attempt_at"], name="outbox_due"),
                            models.Index(fields=["kind", "-id"], name="outbox_kind_recent"),
                        ],
                        "constraints": [
                            models.CheckConstraint(condition=Q(("key", ""), _negated=True), name="outbox_has_key"),
                            models.CheckConstraint(
                                condition=Q(
                                    Q(("done_at__isnull", True), ("state", "pending")),
                                    Q(("done_at__isnull", False), Q(("state", "pending"), _negated=True)),
                                    _connector="OR",
                                ),
                                name="outbox_done_at_fits_state",
                            ),
                        ],
                    },
                ),
            ],
        ),
    ]
