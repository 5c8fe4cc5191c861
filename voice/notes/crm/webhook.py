"""Any CRM that has an address: notes are POSTed there as JSON, signed by the Standard Webhooks rules.

The note's id is the message's id, in every attempt: a receiver that keeps the ids it has seen takes each note once.
"""

import json
import time
from typing import Any
from uuid import uuid4

from voice import outgoing
from voice.notes.crm.base import Crm, Permanent, Progress, Temporary, retry_after_s, send
from voice.notes.reading import CalledNote
from voice.outgoing.signing import new_secret, signed_headers

NOTE_TYPE = "crm.note"
TEST_TYPE = "crm.test"


class WebhookCrm(Crm):
    kind = "webhook"
    label = "Webhook"
    help_text = "A signed POST to an address of yours, for a CRM of your own or one that an automation service feeds."
    url_label = "Address"

    @classmethod
    def make_secret(cls) -> str:
        return new_secret()

    def test_connection(self) -> None:
        self._post(f"test_{uuid4().hex}", {"type": TEST_TYPE, "data": {}})

    def deliver(self, note: CalledNote, progress: Progress) -> str:
        message_id = f"note_{note.note_id.hex}"
        self._post(message_id, {"type": NOTE_TYPE, "data": data_of(note)})
        return message_id

    def _post(self, message_id: str, message: dict[str, Any]) -> None:
        body = json.dumps(message, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json"}
        headers |= signed_headers(message_id, int(time.time()), body, [self.secret])
        # Only the status counts: whatever the receiver says is not waited for.
        reply = send("POST", str(self.settings.get("url", "")), headers=headers, body=body, reads_body=False)
        _check(reply)


def data_of(note: CalledNote) -> dict[str, Any]:
    """Return a note as receivers are sent it; docs/crm.md lists the fields."""
    text = note.text
    return {
        "note_id": str(note.note_id),
        "session_id": str(note.session_id),
        "agent": note.agent_name,
        "called_at": note.called_at.isoformat(),
        "duration_ms": note.duration_ms,
        "summary": text.summary,
        "outcome": text.outcome,
        "sentiment": text.sentiment or None,
        "action_items": [{"text": action.text, "turn": action.turn} for action in text.actions],
        "follow_up_date": text.follow_up_date.isoformat() if text.follow_up_date else None,
        "fields": [
            {"name": field.name, "value": field.value, "turn": field.turn, "collected": field.is_collected}
            for field in text.fields
        ],
        "written_by": note.label,
        "url": note.url,
    }


def _check(reply: outgoing.Reply) -> None:
    if 200 <= reply.status < 300:
        return
    if reply.status == 410:
        raise Permanent("gone", status=reply.status)
    if reply.status in (429, 503):
        raise Temporary("busy", status=reply.status, retry_after_s=retry_after_s(reply))
    if reply.status in (401, 403):
        raise Temporary("key_refused", status=reply.status)
    # A receiver that is being set up or moved says many things for a while; a day is given to all of them.
    raise Temporary("failed" if reply.status >= 500 else "refused", status=reply.status)
