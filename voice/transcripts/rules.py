"""An organisation's own rules for what callers say: for how long it is kept, and whether numbers are blotted out."""

from dataclasses import dataclass
from uuid import UUID

from voice.models import TranscriptSettings
from voice.models.transcript import KEPT_DAYS_DEFAULT


@dataclass(frozen=True, slots=True)
class Rules:
    kept_days: int = KEPT_DAYS_DEFAULT
    redacts: bool = False


def rules_of(organisation_id: UUID) -> Rules:
    row = TranscriptSettings.objects.filter(organisation_id=organisation_id).first()
    return Rules(row.kept_days, row.redacts) if row else Rules()


def change_rules(organisation_id: UUID, rules: Rules) -> None:
    """Keep validated rules: fewer days count from tonight for what is there, more only for calls to come."""
    TranscriptSettings.objects.update_or_create(
        organisation_id=organisation_id, defaults={"kept_days": rules.kept_days, "redacts": rules.redacts}
    )
