"""What every CRM has in common: how it is set up, tested and told a note, and the two ways in which that can fail."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

from voice import outgoing
from voice.notes.reading import CalledNote

TIMEOUT_S = 15.0
_BYTES_MAX = 1_000_000
_RETRY_AFTER_MAX_S = 6 * 3600
# What trying again for a day cannot put right: somebody has to change the address first.
_REFUSED_FOR_GOOD = {"address_not_allowed", "bad_header", "bad_url", "not_https"}

PROBLEMS = {
    "address_not_allowed": "The address leads into a private network.",
    "bad_header": "The key holds characters that no key has.",
    "bad_url": "The address is not of the form https://host/path.",
    "not_https": "The address must begin with https://.",
    "timed_out": "No complete answer came in time.",
    "too_large": "The answer was too long.",
    "too_many_redirects": "The address redirects too often.",
    "unreachable": "The server could not be reached, or its certificate is not valid.",
    "busy": "It asked us to come back later.",
    "failed": "It answered that something went wrong there.",
    "key_refused": "It did not accept the key, or the key may not do this.",
    "refused": "It refused the request.",
    "gone": "It said that this address is gone for good.",
    "bad_answer": "Its answer could not be understood.",
    "secret_unreadable": "The key that is kept cannot be read any more: enter it again.",
    "unknown_kind": "This version knows no CRM of this kind.",
    "inactive": "The connection is switched off.",
}


class CrmError(Exception):
    """`problem` is one of PROBLEMS; nothing of the request or the answer is in it."""

    def __init__(self, problem: str, *, status: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.status = status


class Temporary(CrmError):
    """Worth another try. `retry_after_s` is the CRM's own word on when, if it gave one."""

    def __init__(self, problem: str, *, status: int | None = None, retry_after_s: int | None = None) -> None:
        super().__init__(problem, status=status)
        self.retry_after_s = retry_after_s


class Permanent(CrmError):
    """The same again will not do: a person has to change something first."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What earlier attempts at a delivery came to: a CRM that is asked again finds what it made before.

    `is_first`: no attempt was made before, so nothing of it can be there yet.
    """

    is_first: bool
    contact_id: str
    keep_contact: Callable[[str], None]


class Crm(ABC):
    """One connection to a CRM. Subclasses name themselves in the class variables, which the console's form reads."""

    kind: ClassVar[str]
    label: ClassVar[str]
    help_text: ClassVar[str]
    # What the customer types: an address, a secret of theirs. Without a secret of theirs `make_secret` makes ours.
    url_label: ClassVar[str] = ""
    secret_label: ClassVar[str] = ""
    # Templates are given the classes themselves.
    do_not_call_in_templates: ClassVar[bool] = True

    def __init__(self, settings: Mapping[str, Any], secret: str) -> None:
        self.settings = settings
        self.secret = secret

    @classmethod
    def make_secret(cls) -> str:
        """Return a new secret where it is ours to make, "" where the customer brings one."""
        return ""

    @abstractmethod
    def test_connection(self) -> None:
        """Raises CrmError unless notes could be delivered. Leaves nothing behind but a test message at most."""

    @abstractmethod
    def deliver(self, note: CalledNote, progress: Progress) -> str:
        """Deliver the note, once however often it is called, and return the CRM's id of it. Raises CrmError."""


def send(
    method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", reads_body: bool = True
) -> outgoing.Reply:
    """Make one guarded request and return the answer, whatever its status. Raises CrmError."""
    try:
        return outgoing.request(
            method,
            url,
            headers=headers,
            body=body,
            timeout_s=TIMEOUT_S,
            max_bytes=_BYTES_MAX,
            reads_body=reads_body,
        )
    except outgoing.Refused as refused:
        failure = Permanent if refused.code in _REFUSED_FOR_GOOD else Temporary
        raise failure(refused.code) from None


def retry_after_s(reply: outgoing.Reply) -> int | None:
    """Read Retry-After: seconds or a date."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), _RETRY_AFTER_MAX_S)
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    wait = at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)
    return min(max(round(wait.total_seconds()), 0), _RETRY_AFTER_MAX_S)


def json_of(reply: outgoing.Reply) -> dict[str, Any]:
    """Return the answer's JSON object. Raises Temporary("bad_answer")."""
    try:
        answer = json.loads(reply.body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise Temporary("bad_answer", status=reply.status)
    return answer
