"""Promotion codes: two are seeded, one that takes a tenth off and one that leaves nothing to pay."""

from billing.development_checkout.errors import Json
from billing.development_checkout.lists import page_of
from billing.development_checkout.parameters import Parameters
from billing.development_checkout.store import Books

SEEDED = {"TENOFF": 10, "FREE": 100}


def by_code(books: Books, code: str) -> Json | None:
    """Return the active promotion code that a buyer typed, in whatever case."""
    _seed(books)
    found = books.newest("promotion_code", {"code": code.strip().upper(), "active": True}, most=1)
    return found[0] if found else None


def percent_off(books: Books, promotion_code: str) -> int:
    code = books.get(promotion_code, "promotion_code", "promotion_code")
    return int(books.get(code["promotion"]["coupon"], "coupon", "coupon")["percent_off"])


def count_redemption(books: Books, promotion_code: str) -> None:
    code = books.get(promotion_code, "promotion_code")
    coupon = books.get(code["promotion"]["coupon"], "coupon")
    for body in (code, coupon):
        books.save(body | {"times_redeemed": body["times_redeemed"] + 1})


def retrieve(books: Books, given: Parameters, identifier: str) -> Json:
    _seed(books)
    return books.get(identifier, "promotion_code", "promotion_code")


def list_all(books: Books, given: Parameters) -> Json:
    _seed(books)
    where: Json = {}
    if code := given.text("code"):
        where["code"] = code.upper()
    if (active := given.flag("active")) is not None:
        where["active"] = active
    return page_of(books, "promotion_code", given, "/v1/promotion_codes", where)


def retrieve_coupon(books: Books, given: Parameters, identifier: str) -> Json:
    return books.get(identifier, "coupon", "coupon")


def list_coupons(books: Books, given: Parameters) -> Json:
    _seed(books)
    return page_of(books, "coupon", given, "/v1/coupons")


def _seed(books: Books) -> None:
    if books.newest("promotion_code", most=1):
        return
    for code, percent in SEEDED.items():
        coupon = books.add("", "coupon", _coupon(code, percent))
        books.add("promo_", "promotion_code", _promotion_code(code, coupon["id"]))


def _coupon(code: str, percent: int) -> Json:
    return {
        "amount_off": None,
        "currency": None,
        "duration": "once",
        "duration_in_months": None,
        "max_redemptions": None,
        "metadata": {},
        "name": f"{percent} % off ({code})",
        "percent_off": percent,
        "redeem_by": None,
        "times_redeemed": 0,
        "valid": True,
    }


def _promotion_code(code: str, coupon: str) -> Json:
    return {
        "active": True,
        "code": code,
        "customer": None,
        "expires_at": None,
        "max_redemptions": None,
        "metadata": {},
        "promotion": {"coupon": coupon, "type": "coupon"},
        "restrictions": {"first_time_transaction": False, "minimum_amount": None, "minimum_amount_currency": None},
        "times_redeemed": 0,
    }
