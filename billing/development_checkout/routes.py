"""Which address and verb of the API is which function."""

import re
from collections.abc import Callable

from billing.development_checkout import (
    checkout_sessions,
    customers,
    disputes,
    events,
    invoices,
    payment_intents,
    promotion_codes,
    refunds,
)
from billing.development_checkout.errors import ApiError, Json

# Called with the books, the parameters and the ids in the address.
Operation = Callable[..., Json]

_TABLE: list[tuple[str, str, Operation]] = [
    ("POST", "checkout/sessions", checkout_sessions.create),
    ("GET", "checkout/sessions", checkout_sessions.list_all),
    ("GET", "checkout/sessions/{}", checkout_sessions.retrieve),
    ("POST", "checkout/sessions/{}", checkout_sessions.update),
    ("POST", "checkout/sessions/{}/expire", checkout_sessions.expire),
    ("GET", "checkout/sessions/{}/line_items", checkout_sessions.list_lines),
    ("POST", "payment_intents", payment_intents.create),
    ("GET", "payment_intents", payment_intents.list_all),
    ("GET", "payment_intents/{}", payment_intents.retrieve),
    ("POST", "payment_intents/{}", payment_intents.update),
    ("POST", "payment_intents/{}/confirm", payment_intents.confirm),
    ("POST", "payment_intents/{}/cancel", payment_intents.cancel),
    ("GET", "charges", payment_intents.list_charges),
    ("GET", "charges/{}", payment_intents.retrieve_charge),
    ("POST", "refunds", refunds.create),
    ("GET", "refunds", refunds.list_all),
    ("GET", "refunds/{}", refunds.retrieve),
    ("POST", "refunds/{}", refunds.update),
    ("GET", "disputes", disputes.list_all),
    ("GET", "disputes/{}", disputes.retrieve),
    ("POST", "disputes/{}", disputes.update),
    ("POST", "disputes/{}/close", disputes.close),
    ("POST", "customers", customers.create),
    ("GET", "customers", customers.list_all),
    ("GET", "customers/{}", customers.retrieve),
    ("POST", "customers/{}", customers.update),
    ("DELETE", "customers/{}", customers.delete),
    ("GET", "customers/{}/payment_methods", customers.list_methods),
    ("GET", "customers/{}/payment_methods/{}", customers.retrieve_customers_method),
    ("GET", "payment_methods", customers.list_all_methods),
    ("GET", "payment_methods/{}", customers.retrieve_method),
    ("POST", "payment_methods/{}/attach", customers.attach_method),
    ("POST", "payment_methods/{}/detach", customers.detach_method),
    ("GET", "promotion_codes", promotion_codes.list_all),
    ("GET", "promotion_codes/{}", promotion_codes.retrieve),
    ("GET", "coupons", promotion_codes.list_coupons),
    ("GET", "coupons/{}", promotion_codes.retrieve_coupon),
    ("GET", "invoices", invoices.list_all),
    ("GET", "invoices/{}", invoices.retrieve),
    ("GET", "events", events.list_all),
    ("GET", "events/{}", events.retrieve),
]
_ROUTES = [
    (verb, re.compile(pattern.replace("{}", "([A-Za-z0-9_]{1,80})")), operation) for verb, pattern, operation in _TABLE
]


def find_operation(verb: str, path: str) -> tuple[Operation, tuple[str, ...]]:
    """Return the operation and the ids in `path`. Raises ApiError (404)."""
    for its_verb, pattern, operation in _ROUTES:
        if its_verb == verb and (match := pattern.fullmatch(path)):
            return operation, match.groups()
    message = f"Unrecognized request URL ({verb}: /v1/{path[:200]}), or the development checkout does not have it."
    raise ApiError(message, status=404)
