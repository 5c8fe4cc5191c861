from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st
from stripe._encode import _api_encode

from billing.development_checkout.parameters import read_form
from billing.development_checkout.totals import add_up

NAMES = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TREES = st.dictionaries(
    NAMES,
    st.recursive(
        VALUES,
        lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3) | st.lists(inner, min_size=1, max_size=3),
        max_leaves=8,
    ).filter(lambda value: depth_of(value) < 5),
    max_size=4,
)
LINES = st.lists(st.tuples(st.integers(1, 10**7), st.sampled_from(["inclusive", "exclusive"])), min_size=1, max_size=5)


def depth_of(value):
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return 1 + max(map(depth_of, children), default=0)


@given(TREES)
def test_what_stripes_library_encodes_is_read_back_as_it_was(tree):
    assert read_form(urlencode(list(_api_encode(tree)))) == tree


@given(LINES, st.sampled_from([0, 10, 33, 100]), st.sampled_from(["IN", "DE", None]))
def test_a_total_is_what_its_lines_add_up_to(lines, percent_off, country):
    session = {
        "_lines": [{"amount_subtotal": amount, "price": {"tax_behavior": tax}} for amount, tax in lines],
        "automatic_tax": {"enabled": True},
    }
    add_up(session, percent_off=percent_off, country=country)
    details, exclusive_tax = session["total_details"], 0
    for line in session["_lines"]:
        assert 0 <= line["amount_discount"] <= line["amount_subtotal"] and line["amount_tax"] >= 0
        exclusive_tax += line["amount_tax"] if line["price"]["tax_behavior"] == "exclusive" else 0
    assert session["amount_total"] == session["amount_subtotal"] - details["amount_discount"] + exclusive_tax
