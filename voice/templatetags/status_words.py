"""What the status page says of a day, in words; and the banners above the console and the admin."""

from typing import Any

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma
from django.urls import reverse
from django.utils import timezone

from accounts.models import Organisation
from voice.status.alerts import Alert, members_banners, operators_alerts
from voice.status.history import Day

register = template.Library()


@register.filter
def day_in_words(day: Day) -> str:
    """Return what there was on a day: "3 of 2,880 checks failed, kept away for 2 h 10 min"."""
    said = []
    if day.failed:
        said.append(f"{intcomma(day.failed)} of {intcomma(day.checks)} checks failed")
    if day.down_s:
        said.append(f"calls were kept away for {_duration(day.down_s)}")
    if day.maintenance_s:
        said.append(f"under maintenance for {_duration(day.maintenance_s)}")
    return ", ".join(said)


@register.inclusion_tag("voice/_console_status.html")
def console_status(organisation: Organisation) -> dict[str, Any]:
    """Show above the console's pages what concerns the organisation."""
    return {"banners": members_banners(organisation, timezone.now())}


@register.inclusion_tag("admin/parley/_alerts.html", takes_context=True)
def operators_status(context: template.Context) -> dict[str, Any]:
    """Show above the admin's pages what an operator should look at; nothing to who may not see it."""
    user = context.get("user")
    if user is None or not user.has_perm("voice.view_cataloguemodel"):
        return {"alerts": []}
    return {"alerts": [(alert, _link(alert)) for alert in operators_alerts(timezone.now())]}


def _link(alert: Alert) -> str:
    if not alert.page:
        return reverse("status")
    return reverse(alert.page, args=[alert.argument] if alert.argument else [])


def _duration(seconds: int) -> str:
    minutes = max(1, round(seconds / 60))
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
