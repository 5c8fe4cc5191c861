"""A worker that is killed: `python worker_that_dies.py DATABASE STRIPE EVENT_ID STEP`.

Acts upon one stored event, and sends itself SIGKILL at its nth question to the database; exits 0 if it got to the end.
"""

import os
import signal
import sys

import django
from django.conf import settings


def main(database, stripe_base, event_id, step):
    settings.DATABASES["default"]["NAME"] = database
    django.setup()
    from django.db import connection

    from billing import event_handlers
    from tests.fakes.stripe_server import KEY

    settings.PAYMENTS, settings.STRIPE_API_BASE, settings.STRIPE_SECRET_KEY = "stripe", stripe_base, KEY
    seen = 0

    def die(execute, sql, params, many, context):
        nonlocal seen
        seen += 1
        if seen == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(die):
        event_handlers.handle(event_id)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
