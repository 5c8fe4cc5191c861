"""The bank behind the saved card: says what a test wants it to say, and remembers what it charged."""

from dataclasses import replace
from threading import Lock
from uuid import UUID, uuid4

from billing.stripe.payments import CardRefused, Payment, SavedCard

CARD = SavedCard("pm_1", "cus_1", "Visa •••• 4242", "US", can_charge_off_session=True)
INDIAN_CARD = SavedCard("pm_2", "cus_1", "Visa •••• 1111", "IN", can_charge_off_session=False)


class Bank:
    """Stands for billing.stripe.payments: one charge a purchase, a repeat gets the first answer.

    `answers` are given to the charges in their order, each a Payment's status or an exception; then they succeed.
    """

    def __init__(self):
        self.answers, self.charges, self.asked = [], {}, 0
        self.before_answer = lambda: None
        self._one_at_a_time = Lock()

    def charge_saved_card(self, *, purchase_id, amount_minor, currency, customer_id, payment_method_id, **_):
        with self._one_at_a_time:
            self.asked += 1
            if purchase_id not in self.charges:
                self.charges[purchase_id] = self._payment(
                    purchase_id, amount_minor, currency, customer_id, payment_method_id
                )
        self.before_answer()
        if isinstance(self.charges[purchase_id], Exception):
            raise self.charges[purchase_id]
        return self.charges[purchase_id]

    def fetch_payment(self, payment_id):
        return next(payment for payment in self.payments if payment.id == payment_id)

    def decides(self, status):
        """The bank has made up its mind about what it was thinking about."""
        for payment in self.payments:
            if payment.status == "processing":
                received_minor = payment.amount_minor if status == "succeeded" else 0
                decided = replace(payment, status=status, received_minor=received_minor)
                self.charges[UUID(payment.purchase_id)] = decided

    @property
    def payments(self):
        return [charge for charge in self.charges.values() if isinstance(charge, Payment)]

    @property
    def paid_minor(self):
        return [payment.received_minor for payment in self.payments if payment.status == "succeeded"]

    def _payment(self, purchase_id, amount_minor, currency, customer_id, payment_method_id):
        answer = self.answers.pop(0) if self.answers else "succeeded"
        if isinstance(answer, Exception):
            return answer
        return Payment(
            id=f"pi_{purchase_id}",
            status=answer,
            amount_minor=amount_minor,
            received_minor=amount_minor if answer == "succeeded" else 0,
            currency=currency,
            purchase_id=str(purchase_id),
            customer_id=customer_id,
            payment_method_id=payment_method_id,
            failure_code="",
        )


def declined():
    return CardRefused("insufficient_funds", f"pi_declined_{uuid4()}", needs_confirmation=False)


def wants_confirmation():
    return CardRefused("authentication_required", f"pi_confirm_{uuid4()}", needs_confirmation=True)
