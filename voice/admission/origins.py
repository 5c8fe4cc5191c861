"""From which pages an agent may be called: ours, and those on its list."""

from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings

from voice.models import Agent, Session

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONGEST = 300


def normalised(origin: str) -> str:
    """Return scheme://host[:port] in lower case, without a default port; "" for what is no origin of a web page."""
    if len(origin) > _LONGEST:
        return ""
    try:
        parts = urlsplit(origin.strip().lower())
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    suffix = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{suffix}"


def is_ours(origin: str, *, scheme: str, host: str) -> bool:
    """Return whether the page was served by us, reached as `scheme`://`host`."""
    given = normalised(origin)
    return bool(given) and given in {normalised(f"{scheme}://{host}"), normalised(settings.PUBLIC_URL)}


def is_listed(origin: str, agent: Agent) -> bool:
    given = normalised(origin)
    return bool(given) and given in {normalised(str(allowed)) for allowed in agent.allowed_origins}


def may_connect(session_id: UUID, origin: str, host: str) -> bool:
    """Return whether a page at `origin` may open the socket, reached at `host`, of a session.

    A browser always says where the page is from; a socket that does not is refused.
    """
    # Whether the socket itself came over TLS is not always known behind a proxy; the ticket already proves the rest.
    if any(is_ours(origin, scheme=scheme, host=host) for scheme in _DEFAULT_PORTS):
        return True
    session = Session.objects.select_related("agent").filter(id=session_id).first()
    if session is None:
        return False
    # A ticket that the customer's own server asked for may be used wherever that server has sent it.
    return session.api_key_id is not None or (session.agent is not None and is_listed(origin, session.agent))
