"""See to it that a call's hold covers the worst case of its next response, before that response is asked for."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from accounts.models import ApiKey
from billing import ledger
from billing.exceptions import HoldClosed, InsufficientCredits
from billing.signals import credits_wanted
from voice.catalogue.ceilings import remaining_of_key_micro, remaining_of_secret_micro, remaining_today_micro
from voice.catalogue.rates import Prices
from voice.metering.errors import OutOfCredit
from voice.metering.rating import minutes_cost_micro
from voice.models import Agent, ClientSecret, Session

# About four seconds of speech with its transcript. A shorter answer is none: the call ends instead.
_SHORTEST_ANSWER_TOKENS = 120
# Another call may take the credits between our look and our grasp; each further look sees a smaller wallet.
_MOST_TRIES = 4
_OPEN = "open"
_WALLET = "wallet"


@dataclass(frozen=True, slots=True)
class Allowance:
    """How long the next response may be; `low`: about a minute of talk, or less, is left."""

    max_output_tokens: int
    low: bool


@dataclass(frozen=True, slots=True)
class _Reach:
    """What a call's hold could become now, and what sets that limit."""

    amount_micro: int
    limit: str


def cover_next_response(
    session_id: UUID, prices: Prices, *, context_tokens: int, wanted_output_tokens: int
) -> Allowance:
    """Extend the hold so that it covers what was used and the next response; shorten the response if it must be.

    Raises OutOfCredit, and HoldClosed when the call was settled meanwhile.
    """
    for _ in range(_MOST_TRIES):
        session = Session.objects.select_related("agent", "api_key", "client_secret").get(id=session_id)
        hold = _open_hold(session)
        reach = _reach_of(session, hold)
        tokens = _affordable(prices, context_tokens, wanted_output_tokens, reach.amount_micro - hold.captured_micro)
        is_refillable = False
        if tokens < wanted_output_tokens and reach.limit == _WALLET:
            wanted_micro = prices.worst_case_micro(
                context_tokens=context_tokens, max_output_tokens=wanted_output_tokens
            )
            is_refillable = _want_credits(session, hold.captured_micro + wanted_micro - hold.amount_micro)
        if tokens < min(wanted_output_tokens, _SHORTEST_ANSWER_TOKENS):
            raise OutOfCredit(reach.limit, may_be_refilled=is_refillable)
        worst_micro = prices.worst_case_micro(context_tokens=context_tokens, max_output_tokens=tokens)
        if not _extend(session, hold, hold.captured_micro + worst_micro):
            continue
        minute_micro = minutes_cost_micro(prices.response, context_tokens=context_tokens, is_voice=session.is_voice)
        is_low = reach.amount_micro - hold.captured_micro < minute_micro
        return Allowance(tokens, low=is_low or tokens < wanted_output_tokens)
    raise OutOfCredit(reach.limit)


def _open_hold(session: Session) -> ledger.HoldState:
    if session.hold_id is None:
        raise OutOfCredit(_WALLET)
    hold = ledger.hold_state(session.hold_id)
    if hold.status != _OPEN:
        raise HoldClosed(hold.id, hold.status)
    return hold


def _reach_of(session: Session, hold: ledger.HoldState) -> _Reach:
    available_micro = ledger.balance_of(session.organisation_id).available_micro
    by_wallet = _Reach(hold.amount_micro + max(0, available_micro), _WALLET)
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


def _extend(session: Session, hold: ledger.HoldState, to_micro: int) -> bool:
    """Return whether the hold now is at least `to_micro`; False when somebody else took the credits first."""
    if hold.amount_micro >= to_micro:
        return True
    try:
        if session.spend_cap_micro is None:
            ledger.extend_hold(hold.id, to_amount_micro=to_micro)
            return True
        return _claim_and_extend(session, hold, to_micro)
    except InsufficientCredits:
        return False


@transaction.atomic
def _claim_and_extend(session: Session, hold: ledger.HoldState, to_micro: int) -> bool:
    # Locked in this order everywhere: session, agent or key and secret, wallet.
    Session.objects.select_for_update(no_key=True).get(id=session.id)
    agent, key, secret = None, None, None
    if session.api_key_id:
        key = ApiKey.objects.select_for_update(no_key=True).filter(id=session.api_key_id).first()
        secret = ClientSecret.objects.select_for_update(no_key=True, of=("self",)).filter(sessions=session).first()
    else:
        agent = Agent.objects.select_for_update(no_key=True, of=("self",)).filter(sessions=session).first()
    if _ceiling_left_micro(session, agent, key, secret) < to_micro:
        return False
    ledger.extend_hold(hold.id, to_amount_micro=to_micro)
    Session.objects.filter(id=session.id).update(spend_cap_micro=to_micro)
    return True
