"""A process that makes calls until it is killed: `python caller_that_dies.py DATABASE ORGANISATION_ID`.

Prints each capture that was committed, `hold_id key amount`, so that the test knows what must not be lost.
"""

import sys
import uuid
from datetime import UTC, datetime

import django
from django.conf import settings


def main(database, organisation_id):
    settings.DATABASES["default"]["NAME"] = database
    django.setup()
    from billing import ledger

    # In the past: the sweep may take the hold as soon as this process is dead.
    expires_at = datetime(2026, 1, 1, tzinfo=UTC)
    while True:
        key = uuid.uuid4().hex
        hold = ledger.open_hold(organisation_id, 50, key=key, reference=f"voice_session:{key}", expires_at=expires_at)
        for number in range(1, 6):
            ledger.extend_hold(hold.id, to_amount_micro=50 + number)
            ledger.capture(hold.id, number, key=f"r{number}")
            print(hold.id, f"r{number}", number, flush=True)
        ledger.settle_hold(hold.id)


if __name__ == "__main__":
    main(sys.argv[1], uuid.UUID(sys.argv[2]))
