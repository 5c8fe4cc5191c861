"""The operator's pause: no call starts, live ones end. The admin and the command line do it alike."""

from django.db import transaction

from voice.models import Switches


@transaction.atomic
def pause_calls(message: str) -> Switches:
    """Let no call start from now on, for any organisation; live ones end and are told `message` (may be empty)."""
    return _switch(calls_paused=True, message=message)


@transaction.atomic
def resume_calls() -> Switches:
    """Let calls start again."""
    return _switch(calls_paused=False, message="")


def _switch(*, calls_paused: bool, message: str) -> Switches:
    Switches.objects.get_or_create(pk=1)
    # Admission locks the same row: a call that is being admitted is either seen by the pause or refused by it.
    switches = Switches.objects.select_for_update().get(pk=1)
    switches.calls_paused, switches.pause_message = calls_paused, message
    switches.save()
    return switches
