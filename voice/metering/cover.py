"""See to it that a call's hold covers the worst case of its next response, before that response is asked for."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from accounts.models import ApiKey
from billing import ledger
from billing.exceptions import HoldClosed
from billing.signals import cap_refused, credits_wanted
from voice.catalogue.ceilings import remaining_of_key_micro, remaining_of_secret_micro, remaining_today_micro
from voice.catalogue.rate_card import Kind
from voice.catalogue.rates import Prices
from voice.metering.errors import OutOfCredit
from voice.metering.rating import minutes_cost_micro
from voice.models import Agent, ClientSecret, Session

# About four seconds of speech with its transcript. A shorter answer is none: the call ends instead.
_SHORTEST_ANSWER_TOKENS = 120
# To extend a hold takes locks and a look at everybody's claims, so a call takes this many responses' worst cases at
# once: it then asks for more once a minute or so, or every few turns. Only where that is nothing to whoever pays: the
# wallet, the month's cap and the ceiling of the agent or the key must each have so many times the stride free. So calls
# that share them get in one another's way no sooner than before: when credits are short, every hold is exact.
_RESPONSES_AHEAD = (8, 3)
_SPARE_FACTOR = 20
# Of a session and of what its claims are counted by. Their rows are wide: to read them whole costs more than the rest.
_CLAIM = (
    *("organisation_id", "hold_id", "is_voice", "spend_cap_micro", "created_at"),
    *("agent_id", "api_key_id", "client_secret_id"),
)
_LIMITS = ("agent__daily_ceiling_micro", "api_key__monthly_budget_micro", "client_secret__credits_cap_micro")
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
class _Wanted:
    """The next response, as it is asked for."""

    prices: Prices
    context_tokens: int
    output_tokens: int
    needs: Needs

    def worst_case_micro(self, output_tokens: int) -> int:
        return self.prices.worst_case_micro(context_tokens=self.context_tokens, max_output_tokens=output_tokens)

    def affordable_tokens(self, budget_micro: int) -> int:
        """Return how long the response may be for so much, which may be too short for an answer."""
        affordable = self.prices.affordable_output_tokens(context_tokens=self.context_tokens, budget_micro=budget_micro)
        return min(self.output_tokens, affordable)

    def is_an_answer(self, output_tokens: int) -> bool:
        return output_tokens >= min(self.output_tokens, _SHORTEST_ANSWER_TOKENS)


@dataclass(frozen=True, slots=True)
class _Reach:
    """What a call's hold could become now, and what sets that limit."""

    amount_micro: int
    limit: str


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a call's hold is to become, and what the next response may then be; None: not even a short answer.

    `limit` is what made it shorter than it was asked for, "" where nothing did; `needed_micro` what the wallet would
    have to have beside the hold for all of it.
    """

    to_micro: int
    allowance: Allowance | None
    limit: str = ""
    needed_micro: int = 0


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
    organisation_id, plan, hold = _plan_and_extend(session_id, prices, context_tokens, wanted_output_tokens)
    is_refillable = _tell_what_is_short(organisation_id, plan)
    if plan.allowance is None:
        raise OutOfCredit(plan.limit, may_be_refilled=is_refillable)
    return Covered(plan.allowance, hold)


def refuse_unpayable(session_id: UUID, prices: Prices, *, context_tokens: int, wanted_output_tokens: int) -> None:
    """Raise OutOfCredit where `cover_next_response` would by these prices; hold nothing.

    A wallet that is being refilled just now counts as refilled.
    """
    sessions = Session.objects.select_related("agent", "api_key", "client_secret").only(*_CLAIM, *_LIMITS)
    session = sessions.get(id=session_id)
    hold = _open_hold(session)
    ceiling_micro = None
    if session.spend_cap_micro is not None:
        ceiling_micro = _ceiling_left_micro(session, session.agent, session.api_key, session.client_secret)
    reach = _reach_of(hold, ledger.spendable_of(session.organisation_id), ceiling_micro)
    wanted = _wanted(session, prices, context_tokens, wanted_output_tokens)
    left_micro = reach.amount_micro - hold.captured_micro
    if wanted.is_an_answer(wanted.affordable_tokens(left_micro)):
        return
    needed_micro = hold.captured_micro + wanted.worst_case_micro(_SHORTEST_ANSWER_TOKENS) - hold.amount_micro
    if reach.limit != _WALLET or not _want_credits(session.organisation_id, needed_micro):
        raise OutOfCredit(reach.limit)


@transaction.atomic
def _plan_and_extend(
    session_id: UUID, prices: Prices, context_tokens: int, wanted_output_tokens: int
) -> tuple[UUID, _Plan, ledger.HoldState]:
    """Plan the next response while all that limits it is locked, and make the hold what the plan says.

    So nobody takes the credits between our look and our grasp.
    """
    # Locked in this order everywhere: session, agent or key and secret, wallet, hold.
    session = Session.objects.select_for_update(no_key=True).only(*_CLAIM).get(id=session_id)
    if session.hold_id is None:
        raise OutOfCredit(_WALLET)
    wanted = _wanted(session, prices, context_tokens, wanted_output_tokens)
    ceiling_micro = _locked_ceiling_micro(session)
    plans: list[_Plan] = []

    def plan(hold: ledger.HoldState, spendable: ledger.Spendable) -> int:
        plans.append(_plan_of(wanted, hold, _reach_of(hold, spendable, ceiling_micro)))
        return plans[0].to_micro

    hold = ledger.extend_hold_by_plan(session.hold_id, plan)
    if session.spend_cap_micro is not None and session.spend_cap_micro < hold.amount_micro:
        Session.objects.filter(id=session.id).update(spend_cap_micro=hold.amount_micro)
    return session.organisation_id, plans[0], hold


def _plan_of(wanted: _Wanted, hold: ledger.HoldState, reach: _Reach) -> _Plan:
    if allowance := allowance_within(hold, wanted.needs, wanted_output_tokens=wanted.output_tokens):
        return _Plan(hold.amount_micro, allowance)
    left_micro = reach.amount_micro - hold.captured_micro
    tokens = wanted.affordable_tokens(left_micro)
    is_short = tokens < wanted.output_tokens
    to_micro, allowance = hold.amount_micro, None
    if wanted.is_an_answer(tokens):
        exact_micro = hold.captured_micro + wanted.worst_case_micro(tokens)
        to_micro = max(to_micro, _stride(hold, wanted.needs, exact_micro, reach))
        allowance = Allowance(tokens, low=is_short or left_micro < wanted.needs.minute_micro)
    if not is_short:
        return _Plan(to_micro, allowance)
    return _Plan(to_micro, allowance, reach.limit, hold.captured_micro + wanted.needs.worst_micro - to_micro)


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


def _wanted(session: Session, prices: Prices, context_tokens: int, output_tokens: int) -> _Wanted:
    needs = needs_of(prices, context_tokens, output_tokens, is_voice=session.is_voice)
    return _Wanted(prices, context_tokens, output_tokens, needs)


def _reach_of(hold: ledger.HoldState, spendable: ledger.Spendable, ceiling_micro: int | None) -> _Reach:
    """`ceiling_micro` is how much the call may claim in all beside what the wallet allows; None: whatever it likes."""
    by_wallet = _Reach(hold.amount_micro + spendable.amount_micro, spendable.limit)
    if ceiling_micro is None:
        return by_wallet
    by_ceiling = _Reach(max(hold.amount_micro, ceiling_micro), "ceiling")
    return min(by_wallet, by_ceiling, key=lambda reach: reach.amount_micro)


def _locked_ceiling_micro(session: Session) -> int | None:
    """Lock what the session claims of, and return how much it may claim in all; None where the wallet alone limits."""
    agent, key, secret = None, None, None
    if session.spend_cap_micro is None:
        return None
    if session.api_key_id:
        keys = ApiKey.objects.select_for_update(no_key=True).only("monthly_budget_micro")
        key = keys.filter(id=session.api_key_id).first()
        if session.client_secret_id:
            secrets = ClientSecret.objects.select_for_update(no_key=True).only("credits_cap_micro")
            secret = secrets.filter(id=session.client_secret_id).first()
    elif session.agent_id:
        agents = Agent.objects.select_for_update(no_key=True).only("daily_ceiling_micro")
        agent = agents.filter(id=session.agent_id).first()
    return _ceiling_left_micro(session, agent, key, secret)


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


def _tell_what_is_short(organisation_id: UUID, plan: _Plan) -> bool:
    """Return whether asking again in a moment may bring what was short."""
    if plan.limit == _CAP:
        cap_refused.send_robust(Session, organisation_id=organisation_id)
    return plan.limit == _WALLET and _want_credits(organisation_id, plan.needed_micro)


def _want_credits(organisation_id: UUID, needed_micro: int) -> bool:
    """Say that the wallet falls short of the next response, and return whether it may be refilled in a moment."""
    answers = credits_wanted.send_robust(Session, organisation_id=organisation_id, needed_micro=needed_micro)
    return any(answer is True for _, answer in answers)
