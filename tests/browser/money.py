"""What a call must have cost, worked out again from what was measured, without a line of the product's code."""

import json
from fractions import Fraction
from math import ceil

# The published rates of gpt-realtime-mini, which bills the embedded model, in credits per million tokens: audio by the
# sheet, all else list price in dollars x 100 x 1.35.
_RESPONSE_RATES = {
    "text_in": Fraction("0.60") * 135,
    "text_cached_in": Fraction("0.06") * 135,
    "text_out": Fraction("2.40") * 135,
    "audio_in": Fraction(1500),
    "audio_cached_in": Fraction("0.30") * 135,
    "audio_out": Fraction(3000),
}


def response_cost_micro(usage_json: str) -> int:
    """Return the micro-credits of one response from the usage that was reported."""
    usage = json.loads(usage_json)
    read, written = usage["input_token_details"], usage["output_token_details"]
    cached = read["cached_tokens_details"]
    tokens = {
        "text_in": read["text_tokens"] - cached["text_tokens"],
        "text_cached_in": cached["text_tokens"],
        "audio_in": read["audio_tokens"] - cached["audio_tokens"],
        "audio_cached_in": cached["audio_tokens"],
        "text_out": written["text_tokens"],
        "audio_out": written["audio_tokens"],
    }
    # Credits per million tokens are micro-credits per token.
    return ceil(sum(count * _RESPONSE_RATES[kind] for kind, count in tokens.items()))


def assert_books_agree(product, session_id: str) -> int:
    """Check a settled call from its usage to the wallet, to the micro-credit; return what it cost."""
    key = session_id.replace("-", "")
    session = product.row("SELECT * FROM voice_session WHERE id = ?", key)
    usage = product.rows("SELECT * FROM voice_usagerecord WHERE session_id = ?", key)
    hold = product.row("SELECT * FROM billing_hold WHERE reference = ?", f"voice_session:{session_id}")
    entry = product.row("SELECT * FROM billing_entry WHERE reference = ?", f"voice_session:{session_id}")
    for row in usage:
        if row["source"] == "response":
            assert row["amount_micro"] == response_cost_micro(row["usage"])
        assert sum(line["amount_micro"] for line in json.loads(row["lines"])) == row["amount_micro"]
    cost_micro = sum(row["captured_micro"] for row in usage)
    assert cost_micro > 0
    assert cost_micro == session["captured_micro"] == hold["captured_micro"] == -entry["amount_micro"]
    assert hold["status"] == "captured"
    assert session["uncollected_micro"] == 0
    wallet = product.row("SELECT * FROM billing_wallet WHERE id = ?", hold["wallet_id"])
    entries = product.row("SELECT sum(amount_micro) AS total FROM billing_entry WHERE wallet_id = ?", wallet["id"])
    assert wallet["balance_micro"] == entries["total"]
    return cost_micro


def micro_of(credits: str) -> int:
    """Return the micro-credits of an amount as a page shows it."""
    return int(Fraction(credits.split()[0].replace(",", "")) * 1_000_000)
