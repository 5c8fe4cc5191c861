"""What every page's frame needs to know: who is looking, and where in the console they are."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

# The first that fits marks the current entry of the console's navigation.
_SECTIONS = [
    ("/console/agents/", "agents"),
    ("/console/calls/", "calls"),
    ("/console/crm/", "crm"),
    ("/console/webhooks/", "webhooks"),
    ("/console/code/", "code"),
    ("/console/billing/", "billing"),
    ("/console/members/", "members"),
    ("/console/organisation/", "organisation"),
    ("/console/account/", "account"),
    ("/console/", "overview"),
    ("/accounts/", "account"),
]


def organisation(request: HttpRequest) -> dict[str, Any]:
    # A page that failed early was never seen by the middleware.
    return {
        "debug": settings.DEBUG,
        "organisation": getattr(request, "organisation", None),
        "membership": getattr(request, "membership", None),
        "section": next((section for prefix, section in _SECTIONS if request.path.startswith(prefix)), ""),
    }
