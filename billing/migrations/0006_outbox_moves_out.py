"""The outbox becomes an app of its own; its table is renamed, its rows stay."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("billing", "0005_receipts")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.AlterModelTable("OutboxMessage", "outbox_outboxmessage")],
            state_operations=[migrations.DeleteModel("OutboxMessage")],
        ),
    ]
