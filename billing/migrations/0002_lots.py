"""Lots: which credits were granted and which were purchased, worked out for the entries that exist already."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

# As billing.lots had it when this was written; none of these lots expires.
GRANTED_KINDS = ('grant', 'adjustment')
CLAWED_BACK_KINDS = ('refund', 'dispute')


def make_lots(apps, schema_editor):
    """Replay each wallet's entries, oldest first."""
    Wallet, Entry = apps.get_model('billing', 'Wallet'), apps.get_model('billing', 'Entry')
    for wallet_id in Wallet.objects.order_by('pk').values_list('pk', flat=True).iterator():
        lots = []
        for entry in Entry.objects.filter(wallet_id=wallet_id).order_by('pk').iterator():
            if entry.amount_micro > 0:
                lots.append(add_lot(apps, entry))
            else:
                take(apps, entry, lots)
            lots = [lot for lot in lots if lot.remaining_micro]


def add_lot(apps, entry):
    lot = apps.get_model('billing', 'Lot').objects.create(
        wallet_id=entry.wallet_id,
        kind='granted' if entry.kind in GRANTED_KINDS else 'purchased',
        entry=entry,
        amount_micro=entry.amount_micro,
        remaining_micro=entry.amount_micro,
        reference=entry.reference,
        created_at=entry.created_at,
    )
    draw(apps, entry, [lot], min(entry.amount_micro, max(0, -entry.balance_before_micro)))
    return lot


def take(apps, entry, lots):
    if entry.kind in CLAWED_BACK_KINDS:
        def order(lot):
            return lot.kind != 'purchased', lot.reference != entry.reference, lot.pk
    else:
        def order(lot):
            return lot.kind != 'granted', lot.pk
    draw(apps, entry, sorted(lots, key=order), min(-entry.amount_micro, max(0, entry.balance_before_micro)))


def draw(apps, entry, lots, amount_micro):
    for lot in lots:
        part_micro = min(lot.remaining_micro, amount_micro)
        if part_micro:
            amount_micro -= part_micro
            lot.remaining_micro -= part_micro
            lot.save(update_fields=['remaining_micro'])
            apps.get_model('billing', 'Draw').objects.create(lot=lot, entry=entry, amount_micro=part_micro)


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
        ('billing', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Draw',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('amount_micro', models.BigIntegerField()),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='Lot',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('granted', 'Granted'), ('purchased', 'Purchased')], max_length=10)),
                ('amount_micro', models.BigIntegerField()),
                ('remaining_micro', models.BigIntegerField()),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('reference', models.CharField(blank=True, max_length=200)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.RemoveConstraint(
            model_name='entry',
            name='entry_kind_known',
        ),
        migrations.AddField(
            model_name='wallet',
            name='lots_expire_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AlterField(
            model_name='entry',
            name='actor',
            field=models.CharField(blank=True, help_text='Who made an adjustment or a grant.', max_length=254),
        ),
        migrations.AlterField(
            model_name='entry',
            name='kind',
            field=models.CharField(choices=[('grant', 'Grant'), ('purchase', 'Purchase'), ('usage', 'Usage'), ('refund', 'Refund'), ('dispute', 'Dispute'), ('adjustment', 'Adjustment'), ('expiry', 'Expiry')], max_length=10),
        ),
        migrations.AddIndex(
            model_name='wallet',
            index=models.Index(condition=models.Q(('lots_expire_at__isnull', False)), fields=['lots_expire_at'], name='wallet_lots_expire'),
        ),
        migrations.AddConstraint(
            model_name='entry',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['grant', 'purchase', 'usage', 'refund', 'dispute', 'adjustment', 'expiry'])), name='entry_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='entry',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'expiry'), _negated=True), models.Q(('amount_micro__lt', 0), ('balance_after_micro__gte', models.F('held_after_micro'))), _connector='OR'), name='entry_expiry_leaves_what_is_held'),
        ),
        migrations.AddField(
            model_name='draw',
            name='entry',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='draws', to='billing.entry'),
        ),
        migrations.AddField(
            model_name='lot',
            name='entry',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='lot', to='billing.entry'),
        ),
        migrations.AddField(
            model_name='lot',
            name='wallet',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='lots', to='billing.wallet'),
        ),
        migrations.AddField(
            model_name='draw',
            name='lot',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='draws', to='billing.lot'),
        ),
        migrations.AddIndex(
            model_name='lot',
            index=models.Index(condition=models.Q(('remaining_micro__gt', 0)), fields=['wallet'], name='lot_unspent'),
        ),
        migrations.AddIndex(
            model_name='lot',
            index=models.Index(condition=models.Q(('remaining_micro__gt', 0)), fields=['expires_at'], name='lot_unspent_expiry'),
        ),
        migrations.AddConstraint(
            model_name='lot',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['granted', 'purchased'])), name='lot_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='lot',
            constraint=models.CheckConstraint(condition=models.Q(('amount_micro__gt', 0)), name='lot_amount_positive'),
        ),
        migrations.AddConstraint(
            model_name='lot',
            constraint=models.CheckConstraint(condition=models.Q(('remaining_micro__gte', 0), ('remaining_micro__lte', models.F('amount_micro'))), name='lot_remaining_within_amount'),
        ),
        migrations.AddConstraint(
            model_name='lot',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'purchased'), _negated=True), ('expires_at__isnull', True), _connector='OR'), name='lot_purchased_never_expires'),
        ),
        migrations.AddConstraint(
            model_name='draw',
            constraint=models.UniqueConstraint(fields=('lot', 'entry'), name='one_draw_a_lot_and_entry'),
        ),
        migrations.AddConstraint(
            model_name='draw',
            constraint=models.CheckConstraint(condition=models.Q(('amount_micro__gt', 0)), name='draw_amount_positive'),
        ),
        # Last: PostgreSQL alters no table that has rows written in the same transaction waiting for their checks.
        migrations.RunPython(make_lots, migrations.RunPython.noop),
    ]
