"""manage.py end_calls --organisation NAME, --model SLUG, --from NETWORK, --session ID or --all: hang up live calls."""

import ipaddress
import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet

from accounts.management.find_organisation import find_organisation
from voice.models import Session, SessionState
from voice.sessions.orders.control import end_call

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Command(BaseCommand):
    help = "Hangs up the live calls that are meant. What they used is charged; nobody is kept from calling again."

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--organisation", help="The organisation's slug, name or id.")
        which.add_argument("--model", help="The model that answers them.")
        which.add_argument("--from", dest="network", help="The callers' address or network.")
        which.add_argument("--session", type=uuid.UUID, help="One call.")
        which.add_argument("--all", action="store_true", help="Every one. pause_calls keeps new ones away, too.")

    def handle(self, *args: Any, **options: Any) -> None:
        network = _network(options["network"]) if options["network"] else None
        calls = [session for session in _meant(options) if network is None or _is_from(session, network)]
        for session in calls:
            end_call(session.pk)
        self.stdout.write(f"{len(calls)} {'call' if len(calls) == 1 else 'calls'} told to end.")


def _meant(options: dict[str, Any]) -> QuerySet[Session]:
    live = Session.objects.filter(state=SessionState.LIVE)
    if options["organisation"]:
        return live.filter(organisation=find_organisation(options["organisation"]))
    if options["model"]:
        return live.filter(model_served=options["model"])
    if options["session"]:
        return live.filter(pk=options["session"])
    return live.exclude(client_ip=None) if options["network"] else live


def _network(text: str) -> _Network:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise CommandError(f"{text} is no address or network.") from None


def _is_from(session: Session, network: _Network) -> bool:
    return ipaddress.ip_address(str(session.client_ip)) in network
