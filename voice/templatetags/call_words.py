"""Filters for the call's words, whose {placeholders} are the language files'."""

from collections.abc import Mapping

from django import template

register = template.Library()


@register.filter
def filled(text: str, agent_name: str) -> str:
    """Put the agent's name where {agent} stands."""
    return text.replace("{agent}", agent_name)


@register.filter
def counted(forms: Mapping[str, str], most: int) -> list[str]:
    """Return "1 star", "2 stars" and so on, for numbers that have only the forms one and other."""
    return [forms["one" if number == 1 else "other"].replace("{count}", str(number)) for number in range(1, most + 1)]
