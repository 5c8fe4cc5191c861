"""A worker that delivers webhooks and is killed: `python webhook_that_dies.py DATABASE STEP`."""

import os
import signal
import sys

import django
from django.conf import settings


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def main(database, step):
    settings.DATABASES["default"]["NAME"] = database
    django.setup()
    from django.utils import timezone

    from outbox import messages as outbox
    from voice.webhooks import delivery

    match step:
        case "before it is sent":
            delivery._send = die
        case "after it is sent":
            delivery._write_down = die
        case "while it is written down":
            delivery._finish = die
        case "before the message is done":
            outbox._ours = die
    outbox.hand_over_due(timezone.now())
    sys.exit("nobody killed it")


if __name__ == "__main__":
    main(*sys.argv[1:])
