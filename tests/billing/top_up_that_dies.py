"""A worker that tops a wallet up and is killed: `python top_up_that_dies.py DATABASE ORGANISATION_ID STEP LEDGER`.

LEDGER is the bank's own file, a line a charge: what is in it was charged, whatever became of the worker.
"""

import os
import signal
import sys
import uuid
from pathlib import Path

import django
from django.conf import settings


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def main(database, organisation_id, step, ledger_of_bank):
    settings.DATABASES["default"]["NAME"] = database
    django.setup()
    from billing import auto_top_up
    from billing.stripe import payments
    from outbox import messages as outbox
    from tests.billing.bank import Bank

    bank = Bank()

    def charge(**fields):
        payment = bank.charge_saved_card(**fields)
        with Path(ledger_of_bank).open("a") as lines:
            lines.write(f"{fields['purchase_id']} {fields['amount_minor']} {fields['currency']}\n")
        if step == "after the charge":
            die()
        return payment

    payments.charge_saved_card = charge
    match step:
        case "before the message is handed over":
            outbox._nudge = die
        case "before the charge":
            payments.charge_saved_card = die
        case "before the attempt is closed":
            auto_top_up._close = die
        case "before the message is done":
            outbox._ours = die
    auto_top_up.consider(organisation_id)
    sys.exit("nobody killed it")


if __name__ == "__main__":
    main(sys.argv[1], uuid.UUID(sys.argv[2]), *sys.argv[3:])
