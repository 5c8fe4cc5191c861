"""The voice app: agents, live calls, and what they cost."""

from django.apps import AppConfig


class VoiceConfig(AppConfig):
    name = "voice"

    def ready(self) -> None:
        from voice import (
            after_call,  # noqa: F401  does what follows a conversation
            note_work,  # noqa: F401  writes and delivers its note
            receivers,  # noqa: F401  ends live calls when an organisation is suspended
        )
        from voice.catalogue import shutdown  # noqa: F401  mails operators about models that end
        from voice.metering import provider_cost  # noqa: F401  tells billing's audit what usage costs
