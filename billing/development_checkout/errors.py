"""Stripe's errors in Stripe's JSON."""

from typing import Any

Json = dict[str, Any]

CARD_ERROR = 402


class ApiError(Exception):
    """An answer other than success; `more` holds what a card error carries besides."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        more: Json | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.more = more or {}

    def body(self) -> Json:
        error: Json = {"message": self.message, "type": self.kind}
        if self.code:
            error |= {"code": self.code, "doc_url": doc_url(self.code)}
        if self.param:
            error["param"] = self.param
        return {"error": error | self.more}


def doc_url(code: str) -> str:
    return f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"


def no_such(kind: str, identifier: str, param: str) -> ApiError:
    label = {"checkout.session": "checkout session", "payment_method": "PaymentMethod"}.get(kind, kind)
    return ApiError(f"No such {label}: '{identifier[:80]}'", status=404, code="resource_missing", param=param)
