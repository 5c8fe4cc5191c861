"""How an agent looks on its owner's site."""

from django.core.validators import RegexValidator
from django.db import models

from voice.models.agent import Agent


class Position(models.TextChoices):
    RIGHT = "right", "Bottom right"
    LEFT = "left", "Bottom left"


class Theme(models.TextChoices):
    AUTO = "auto", "As the visitor's device has it"
    LIGHT = "light", "Light"
    DARK = "dark", "Dark"


class WidgetLook(models.Model):
    """What the owner chose; an agent without one looks as Parley does."""

    agent = models.OneToOneField(Agent, on_delete=models.CASCADE, related_name="look")
    accent = models.CharField(max_length=7, blank=True, validators=[RegexValidator(r"^#[0-9a-fA-F]{6}\Z")])
    theme = models.CharField(max_length=5, choices=Theme.choices, default=Theme.AUTO)
    position = models.CharField(max_length=5, choices=Position.choices, default=Position.RIGHT)
    label = models.CharField(max_length=40, blank=True, help_text="On the floating button.")
    language = models.CharField(max_length=10, blank=True, help_text="Of the buttons; empty: the agent's.")
    # {"buttons.talk": "Ask us"}: words of the owner's in place of the language file's.
    texts = models.JSONField(default=dict, blank=True)

    def __str__(self) -> str:
        return f"look of {self.agent_id}"
