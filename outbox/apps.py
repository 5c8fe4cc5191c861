"""The outbox: work that must not be lost, whichever app it is for."""

from django.apps import AppConfig


class OutboxConfig(AppConfig):
    name = "outbox"
