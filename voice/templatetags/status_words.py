"""What the status page says of a day, in words; and the banners above the console and the admin."""

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma

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


def _duration(seconds: int) -> str:
    minutes = max(1, round(seconds / 60))
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
