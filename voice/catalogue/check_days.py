"""How often a model or a part was looked at on a day, and how often it was found wanting: the status page's figures."""

from datetime import date

from django.db.models import F

from voice.models import CheckDay

__all__ = ["count_checks"]


def count_checks(subject: str, day: date, *, checks: int = 1, failed: int = 0) -> None:
    """Add to a day's figures of "model:SLUG" or "component:NAME": one statement, but for the first of a day."""
    row = CheckDay.objects.filter(subject=subject, day=day)
    counted = {"checks": F("checks") + checks, "failed": F("failed") + failed}
    if not row.update(**counted):
        CheckDay.objects.get_or_create(subject=subject, day=day)
        row.update(**counted)
