"""See to it that a call's hold covers the worst case of its next response, before that response is asked for."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from accounts.models import ApiKey
from billing import ledger
from billing.exceptions import HoldClosed, InsufficientCredits
from billing.signals import cap_refused, credits_wanted
from voice.catalogue.ceilings import remaining_of_key_micro, remaining_of_secret_micro, remaining_today_micro
from voice.catalogue.rate_card import Kind
from voice.catalogue.rates import Prices
from voice.metering.errors import OutOfCredit
from voice.metering.rating import minutes_cost_micro
from voice.models import Agent, ClientSecret, Session

# About four seconds of speech with its transcript. A shorter answer is none: the call ends instead.
_SHORTEST_ANSWER_TOKENS = 120
# Another call may take the credits between our look and our grasp; each further look sees a smaller wallet.
_MOST_TRIES = 4
# To extend a hold takes locks and a look at everybody's claims, so a call takes this many responses' worst cases at
# once: it then asks for more once a minute or so, or every few turns. Only where that is nothing to whoever pays: the
# wallet, the month's cap and the ceiling of the agent or the key must each have so many times the stride free. So calls
# that share them get in one another's way no sooner than before: when credits are short, every hold is exact.
_RESPONSES_AHEAD = (8, 3)
_SPARE_FACTOR = 20
# A session with what its claims are counted by. Their rows are wide: to read them whole costs more than all the rest.
_CLAIMING = Session.objects.select_related("agent", "api_key", "client_secret").only(
    *("organisation_id", "hold_id", "is_voice", "spend_cap_micro", "created_at"),
    *("agent__daily_ceiling_micro", "api_key__monthly_budget_micro", "client_secret__credits_cap_micro"),
)
_OPEN = "open"
_WALLET = "wallet"
_CAP = "cap"


@dataclass(frozen=True, slots=True)
class Allowance:
    """How long the next response may be; `low`: about a minute of talk, or less, is left."""

    max_output_tokens: int
    low: bool


@dataclass(frozen=True, slots=True)
class Covered:
    """What the next response may be, and the hold that covers it, as it was left."""

    allowance: Allowance
    hold: ledger.HoldState


@dataclass(frozen=True, slots=True)
class Needs:
    """What the next response may cost at worst, and about what another minute of talk costs; both in micro-credits."""

    worst_micro: int
    minute_micro: int


@dataclass(frozen=True, slots=True)
class _Reach:
    """What a call's hold could become now, and what sets that limit."""

    amount_micro: int
    limit: str


def needs_of(prices: Prices, context_tokens: int, wanted_output_tokens: int, *, is_voice: bool) -> Needs:
    # A call that began with a voice may go on in writing, with a model that has no price for one.
    is_spoken = is_voice and Kind.AUDIO_OUT in prices.response.micro_per_million
    return Needs(
        prices.worst_case_micro(context_tokens=context_tokens, max_output_tokens=wanted_output_tokens),
        minutes_cost_micro(prices.response, context_tokens=context_tokens, is_voice=is_spoken),
    )


def allowance_within(hold: ledger.HoldState, needs: Needs, *, wanted_output_tokens: int) -> Allowance | None:
    """Return what `cover_next_response` would where the hold needs no more credits and none are short, else None.

    It asks no database: a hold never shrinks while it is open.
    """
    if hold.status != _OPEN or hold.remaining_micro < max(needs.worst_micro, needs.minute_micro):
        return None
    return Allowance(wanted_output_tokens, low=False)


def cover_next_response(session_id: UUID, prices: Prices, *, context_tokens: int, wanted_output_tokens: int) -> Covered:
    """Extend the hold so that it covers what was used and the next response; shorten the response if it must be.

    Raises OutOfCredit, and HoldClosed when the call was settled meanwhile.
    """
    for _ in range(_MOST_TRIES):
        session = _CLAIMING.get(id=session_id)
        needs = needs_of(prices, context_tokens, wanted_output_tokens, is_voice=session.is_voice)
        hold = _open_hold(session)
        if allowance := allowance_within(hold, needs, wanted_output_tokens=wanted_output_tokens):
            return Covered(allowance, hold)
        reach = _reach_of(session, hold)
        left_micro = reach.amount_micro - hold.captured_micro
        tokens = _affordable(prices, context_tokens, wanted_output_tokens, left_micro)
        is_refillable = False
        if tokens < wanted_output_tokens and reach.limit == _CAP:
            cap_refused.send_robust(Session, organisation_id=session.organisation_id)
        if tokens < wanted_output_tokens and reach.limit == _WALLET:
            is_refillable = _want_credits(session, hold.captured_micro + needs.worst_micro - hold.amount_micro)
        if tokens < min(wanted_output_tokens, _SHORTEST_ANSWER_TOKENS):
            raise OutOfCredit(reach.limit, may_be_refilled=is_refillable)
        worst_micro = prices.worst_case_micro(context_tokens=context_tokens, max_output_tokens=tokens)
        extended = _extend(session, hold, _stride(hold, needs, hold.captured_micro + worst_micro, reach))
        if extended is None:
            continue
        is_low = left_micro < needs.minute_micro or tokens < wanted_output_tokens
        return Covered(Allowance(tokens, low=is_low), extended)
    raise OutOfCredit(reach.limit)


def refuse_unpayable(session_id: UUID, prices: Prices, *, context_tokens: int, wanted_output_tokens: int) -> None:
    """Raise OutOfCredit where `cover_next_response` would by these prices; hold nothing.

    A wallet that is being refilled just now counts as refilled.
    """
    session = _CLAIMING.get(id=session_id)
    hold = _open_hold(session)
    reach = _reach_of(session, hold)
    left_micro = reach.amount_micro - hold.captured_micro
    tokens = _affordable(prices, context_tokens, wanted_output_tokens, left_micro)
    if tokens >= min(wanted_output_tokens, _SHORTEST_ANSWER_TOKENS):
        return
    worst_micro = prices.worst_case_micro(context_tokens=context_tokens, max_output_tokens=_SHORTEST_ANSWER_TOKENS)
    if reach.limit != _WALLET or not _want_credits(session, worst_micro - left_micro):
        raise OutOfCredit(reach.limit)


def _stride(hold: ledger.HoldState, needs: Needs, exact_micro: int, reach: _Reach) -> int:
    """Return how large the hold is to become: exactly what is needed, or some responses ahead where that is nothing."""
    free_micro = reach.amount_micro - hold.amount_micro
    for responses in _RESPONSES_AHEAD:
        ahead_micro = hold.captured_micro + responses * max(needs.worst_micro, needs.minute_micro)
        if free_micro >= _SPARE_FACTOR * (ahead_micro - hold.amount_micro):
            return max(exact_micro, ahead_micro)
    return exact_micro


def _open_hold(session: Session) -> ledger.HoldState:
    if session.hold_id is None:
        raise OutOfCredit(_WALLET)
    hold = ledger.hold_state(session.hold_id)
    if hold.status != _OPEN:
        raise HoldClosed(hold.id, hold.status)
    return hold


def _reach_of(session: Session, hold: ledger.HoldState) -> _Reach:
    spendable = ledger.spendable_of(session.organisation_id)
    by_wallet = _Reach(hold.amount_micro + spendable.amount_micro, spendable.limit)
    if session.spend_cap_micro is None:
        return by_wallet
    left_micro = _ceiling_left_micro(session, session.agent, session.api_key, session.client_secret)
    by_ceiling = _Reach(max(hold.amount_micro, left_micro), "ceiling")
    return min(by_wallet, by_ceiling, key=lambda reach: reach.amount_micro)


def _ceiling_left_micro(session: Session, agent: Agent | None, key: ApiKey | None, secret: ClientSecret | None) -> int:
    """Return how much the call may claim in all: of its key's and secret's budgets, or of its agent's day.

    By the day and month the call began in, which are those it counts for.
    """
    began_at = session.created_at
    if key is None:
        # Without its agent nobody can say how much more the call may claim: it keeps what it has.
        return remaining_today_micro(agent, began_at, excluding=session.id) if agent else 0
    limits = [remaining_of_key_micro(key, began_at, excluding=session.id)]
    if secret:
        limits.append(remaining_of_secret_micro(secret, excluding=session.id))
    # A budget that was lifted in mid-call limits it no more: then the wallet alone does.
    return min((limit for limit in limits if limit is not None), default=ledger.MAX_AMOUNT_MICRO)


def _affordable(prices: Prices, context_tokens: int, wanted_output_tokens: int, budget_micro: int) -> int:
    affordable = prices.affordable_output_tokens(context_tokens=context_tokens, budget_micro=budget_micro)
    return min(wanted_output_tokens, affordable)


def _want_credits(session: Session, needed_micro: int) -> bool:
    """Say that the wallet falls short of the next response, and return whether it may be refilled in a moment."""
    answers = credits_wanted.send_robust(Session, organisation_id=session.organisation_id, needed_micro=needed_micro)
    return any(answer is True for _, answer in answers)


def _extend(session: Session, hold: ledger.HoldState, to_micro: int) -> ledger.HoldState | None:
    """Return the hold, now at least `to_micro`; None when somebody else took the credits first."""
    if hold.amount_micro >= to_micro:
        return hold
    try:
        if session.spend_cap_micro is None:
            return ledger.extend_hold(hold.id, to_amount_micro=to_micro)
        return _claim_and_extend(session, hold, to_micro)
    except InsufficientCredits:
        return None


@transaction.atomic
def _claim_and_extend(session: Session, hold: ledger.HoldState, to_micro: int) -> ledger.HoldState | None:
    # Locked in this order everywhere: session, agent or key and secret, wallet, hold.
    Session.objects.select_for_update(no_key=True).values_list("id").get(id=session.id)
    agent, key, secret = None, None, None
    if session.api_key_id:
        key = ApiKey.objects.select_for_update(no_key=True).filter(id=session.api_key_id).first()
        secret = ClientSecret.objects.select_for_update(no_key=True, of=("self",)).filter(sessions=session).first()
    else:
        claimed = Agent.objects.select_for_update(no_key=True, of=("self",)).filter(sessions=session)
        agent = claimed.only("daily_ceiling_micro").first()
    if _ceiling_left_micro(session, agent, key, secret) < to_micro:
        return None
    extended = ledger.extend_hold(hold.id, to_amount_micro=to_micro)
    Session.objects.filter(id=session.id).update(spend_cap_micro=to_micro)
    return extended
