"""Whatever order things happen in, a call is charged what its usage costs, once, and never more than was held."""

from fractions import Fraction
from math import ceil
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import ledger
from billing.audit import audit_ledger
from tests.voice.conftest import CREDIT
from voice.catalogue.rates import Prices, rate_card
from voice.metering.cover import cover_next_response
from voice.metering.errors import OutOfCredit
from voice.metering.rating import rate
from voice.metering.records import Used, record_at_once, record_usage
from voice.metering.settlement import settle_session
from voice.metering.usage import quantities_of_response
from voice.models import Session, UsageRecord

# Credits a million tokens, written down from the price sheet and not read from the code under test.
SHEET = {
    "text": Fraction(81),
    "cached_text": Fraction(81, 10),
    "audio": Fraction(1500),
    "cached_audio": Fraction(405, 10),
    "text_out": Fraction(324),
    "audio_out": Fraction(3000),
}
tokens = st.integers(0, 3000)
usages = st.fixed_dictionaries(
    {
        "text": tokens,
        "cached_text": tokens,
        "audio": tokens,
        "cached_audio": tokens,
        "text_out": tokens,
        "audio_out": tokens,
    }
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("prepare"), st.integers(0, 8000), st.integers(1, 2000)),
        st.tuples(st.just("record"), st.integers(0, 4), usages),
        st.tuples(st.just("replay"), st.integers(0, 4), st.none()),
        st.tuples(st.just("settle"), st.none(), st.none()),
    ),
    max_size=14,
)


def reported(used):
    """Tell a usage as the provider does: cached tokens are part of the totals."""
    text, audio = used["text"] + used["cached_text"], used["audio"] + used["cached_audio"]
    cached = {"text_tokens": used["cached_text"], "audio_tokens": used["cached_audio"]}
    return {
        "input_tokens": text + audio,
        "output_tokens": used["text_out"] + used["audio_out"],
        "input_token_details": {"text_tokens": text, "audio_tokens": audio, "cached_tokens_details": cached},
        "output_token_details": {"text_tokens": used["text_out"], "audio_tokens": used["audio_out"]},
    }


def cost_micro(used):
    return ceil(sum(used[name] * price for name, price in SHEET.items()))


class Call:
    def __init__(self, session):
        self.session, self.seen, self.is_settled = session, {}, False
        self.remembered = ledger.hold_state(session.hold_id)
        self.card = rate_card("gpt-realtime-mini", session.created_at.date())

    def prepare(self, context_tokens, wanted):
        if self.is_settled:
            return
        try:
            covered = cover_next_response(
                self.session.id, Prices(self.card, None), context_tokens=context_tokens, wanted_output_tokens=wanted
            )
        except OutOfCredit:
            return
        hold = ledger.hold_state(self.session.hold_id)
        allowance = covered.allowance
        assert covered.hold == hold
        self.remembered = hold
        assert 0 < allowance.max_output_tokens <= wanted
        worst_micro = context_tokens * 1500 + allowance.max_output_tokens * 3000
        assert hold.amount_micro - hold.captured_micro >= worst_micro

    def record(self, number, used):
        used = self.seen.setdefault(number, used)
        usage = reported(used)
        rating = rate(quantities_of_response(usage), self.card)
        assert rating.total_micro == cost_micro(used)
        used_now = Used("response", f"resp_{number}", "gpt-realtime-mini", usage)
        # As a meter does: by what it remembers, which others may have made untrue, and else with care.
        hold = record_at_once(self.session.id, self.remembered, [(used_now, rating)])
        if hold is None:
            record_usage(self.session.id, used_now, rating)
        self.remembered = hold or self.remembered

    def replay(self, number, _):
        if number in self.seen:
            self.record(number, self.seen[number])

    def settle(self, *_):
        settle_session(self.session.id)
        self.is_settled = True

    def check(self, organisation):
        records = list(UsageRecord.objects.filter(session=self.session))
        session = Session.objects.get(id=self.session.id)
        hold = ledger.hold_state(session.hold_id)
        assert len(records) == len(self.seen)
        assert session.captured_micro == sum(record.captured_micro for record in records) == hold.captured_micro
        assert hold.captured_micro <= hold.amount_micro
        assert session.captured_micro + session.uncollected_micro == sum(map(cost_micro, self.seen.values()))
        assert ledger.balance_of(organisation.id).available_micro >= 0
        for record in records:
            assert sum(line["amount_micro"] for line in record.lines) == record.amount_micro


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=steps, spare_micro=st.integers(0, 40 * CREDIT))
def test_any_sequence_charges_what_was_used_once_and_never_more_than_was_held(
    open_session, organisation, steps, spare_micro
):
    # Examples share the test's wallet: each begins with what it says.
    available_micro = ledger.balance_of(organisation.id).available_micro
    if change_micro := spare_micro + 2 * CREDIT - available_micro:
        ledger.adjust(organisation.id, change_micro, key=uuid4().hex, reason="For a test", actor="test")
    session = open_session(held_micro=2 * CREDIT)
    call = Call(session)
    for name, first, second in steps:
        getattr(call, name)(first, second)
        call.check(organisation)
    receipt = settle_session(session.id)
    hold = ledger.hold_state(session.hold_id)
    assert receipt.total_micro == hold.captured_micro
    assert sum(line.amount_micro for line in receipt.lines) == receipt.total_micro
    assert list(audit_ledger()) == []
