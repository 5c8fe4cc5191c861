import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('voice', '0004_notes_and_crm'),
    ]

    operations = [
        migrations.AddField(
            model_name='collectedfields',
            name='call_id',
            field=models.CharField(default='', help_text="The tool call's own: what makes keeping it twice once.", max_length=120),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='transcript',
            name='deletes_at',
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
        migrations.AddIndex(
            model_name='session',
            index=models.Index(condition=models.Q(('comment', ''), _negated=True), fields=['organisation', 'created_at'], name='session_with_comment'),
        ),
        migrations.AddIndex(
            model_name='transcript',
            index=models.Index(fields=['deletes_at'], name='transcript_by_promise'),
        ),
        migrations.AddConstraint(
            model_name='collectedfields',
            constraint=models.UniqueConstraint(fields=('session', 'call_id'), name='collected_once'),
        ),
    ]
