"""The mails a development server kept as files: a mailbox for one developer, on their own machine."""

import re
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

from django.conf import settings

# Names that Django's file-based backend gives: 20260102-150405-140239.log. Nothing else in the folder is ever opened.
_NAME = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9]{1,20}\.log")
# The backend writes each message of one connection into one file, with a rule of 79 hyphens after it.
_RULE = b"-" * 79
_MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Mail:
    key: str
    subject: str
    sender: str
    recipient: str
    sent_at: datetime | None
    body: str


def kept_mails() -> list[Mail]:
    """Return the newest mails, newest first."""
    folder = Path(settings.EMAIL_FILE_PATH)
    names = sorted((path.name for path in folder.glob("*.log") if _NAME.fullmatch(path.name)), reverse=True)
    mails = [mail for name in names[:_MOST_SHOWN] for mail in reversed(_mails_in(folder / name))]
    return sorted(mails, key=_moment_of, reverse=True)


def kept_mail(key: str) -> Mail | None:
    name, _, index = key.rpartition("-")
    path = Path(settings.EMAIL_FILE_PATH) / f"{name}.log"
    if not _NAME.fullmatch(path.name) or not path.is_file():
        return None
    return next((mail for mail in _mails_in(path) if mail.key == key), None)


def _mails_in(path: Path) -> list[Mail]:
    parts = [part for part in path.read_bytes().split(_RULE) if part.strip()]
    return [_mail_of(part, f"{path.stem}-{index}") for index, part in enumerate(parts)]


def _mail_of(raw: bytes, key: str) -> Mail:
    message = message_from_bytes(raw.lstrip(), policy=policy.default)
    assert isinstance(message, EmailMessage)
    text = message.get_body(preferencelist=("plain", "html"))
    return Mail(
        key=key,
        subject=str(message["Subject"] or "(no subject)"),
        sender=str(message["From"] or ""),
        recipient=str(message["To"] or ""),
        sent_at=_date_of(message),
        body=text.get_content() if text is not None else "",
    )


def _date_of(message: EmailMessage) -> datetime | None:
    try:
        return parsedate_to_datetime(str(message["Date"]))
    except ValueError:
        return None


def _moment_of(mail: Mail) -> tuple[float, str]:
    return (mail.sent_at.timestamp() if mail.sent_at else 0.0, mail.key)
