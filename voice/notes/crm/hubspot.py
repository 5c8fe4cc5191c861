"""HubSpot: the contact is found or made, and the note attached to it, by the CRM objects API (v3).

HubSpot has no unique outside id for notes, and its search sees new rows only seconds later. So the note carries a mark
made of its own id, and any attempt but the first looks for the mark: among the contact's own notes, which HubSpot
tells at once, and in the search where there is no contact. Contacts are unique by e-mail there; one that was made is
kept with the delivery, so that the next attempt need not find it.
"""

import json
import re
from collections.abc import Mapping
from html import escape
from typing import Any

from django.conf import settings

from voice.notes.crm.base import Crm, CrmError, Permanent, Progress, Temporary, json_of, retry_after_s, send
from voice.notes.crm.contact import Contact, contact_of
from voice.notes.reading import CalledNote
from voice.outgoing import Reply

_NOTE_TO_CONTACT = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 202}
_BODY_CHARS_MAX = 65_000
_READ_AT_ONCE = 100
_EXISTING_ID = re.compile(r"Existing ID:\s*(\d{1,30})")

Json = dict[str, Any]


class HubSpot(Crm):
    kind = "hubspot"
    label = "HubSpot"
    help_text = "Each note is put on the caller's contact, which is made unless one has the same e-mail or phone."
    secret_label = "Private app's access token"

    def test_connection(self) -> None:
        self._call("GET", "/crm/v3/objects/contacts?limit=1")
        self._call("GET", "/crm/v3/objects/notes?limit=1")

    def deliver(self, note: CalledNote, progress: Progress) -> str:
        contact = contact_of(note.text)
        contact_id = progress.contact_id
        if not contact_id and contact.is_known:
            contact_id = self._find(contact) or self._make(contact)
            progress.keep_contact(contact_id)
        mark = f"parleynote{note.note_id.hex}"
        made = "" if progress.is_first else self._made_before(mark, contact_id)
        return made or self._attach(note, mark, contact_id)

    def _find(self, contact: Contact) -> str:
        """Return the id of the contact with this e-mail, else phone, else name and address; "" when there is none."""
        for filters in _ways_to_find(contact):
            body = {
                "filterGroups": [{"filters": group} for group in filters],
                "properties": ["email", "phone"],
                "sorts": [{"propertyName": "createdate", "direction": "ASCENDING"}],
                "limit": 1,
            }
            if found := _ids(self._call("POST", "/crm/v3/objects/contacts/search", body)):
                return found[0]
        return ""

    def _make(self, contact: Contact) -> str:
        properties = {
            "firstname": contact.first_name,
            "lastname": contact.last_name,
            "email": contact.email,
            "phone": contact.phone,
            "address": contact.address,
        }
        try:
            return self._create("contacts", {name: value for name, value in properties.items() if value})
        except Permanent as refused:
            # An e-mail that was misheard must not cost the note its contact.
            if refused.status != 400 or not contact.email or not (contact.phone or contact.first_name):
                raise
        del properties["email"]
        return self._create("contacts", {name: value for name, value in properties.items() if value})

    def _made_before(self, mark: str, contact_id: str) -> str:
        if not contact_id:
            wanted = {"propertyName": "hs_note_body", "operator": "CONTAINS_TOKEN", "value": mark}
            body = {"filterGroups": [{"filters": [wanted]}], "properties": ["hs_note_body"], "limit": 1}
            return next(iter(_ids(self._call("POST", "/crm/v3/objects/notes/search", body))), "")
        listed = self._call("GET", f"/crm/v3/objects/contacts/{contact_id}/associations/notes?limit=500")
        note_ids = _ids(listed)[::-1]
        for start in range(0, len(note_ids), _READ_AT_ONCE):
            inputs = [{"id": note_id} for note_id in note_ids[start : start + _READ_AT_ONCE]]
            body = {"properties": ["hs_note_body"], "inputs": inputs}
            for row in _rows(self._call("POST", "/crm/v3/objects/notes/batch/read", body)):
                if mark in str((row.get("properties") or {}).get("hs_note_body")):
                    return _id(row)
        return ""

    def _attach(self, note: CalledNote, mark: str, contact_id: str) -> str:
        properties = {"hs_timestamp": note.called_at.isoformat(), "hs_note_body": as_html(note, mark)}
        to_contact = [{"to": {"id": contact_id}, "types": [_NOTE_TO_CONTACT]}] if contact_id else []
        return self._create("notes", properties, to_contact)

    def _create(self, objects: str, properties: Mapping[str, str], associations: list[Json] | None = None) -> str:
        body: Json = {"properties": dict(properties)}
        if associations:
            body["associations"] = associations
        answer = self._call("POST", f"/crm/v3/objects/{objects}", body, conflict_is_found=objects == "contacts")
        if not _id(answer):
            raise Temporary("bad_answer")
        return _id(answer)

    def _call(self, method: str, path: str, body: Json | None = None, *, conflict_is_found: bool = False) -> Json:
        headers = {"Authorization": f"Bearer {self.secret}", "Accept": "application/json"}
        sent = b""
        if body is not None:
            headers["Content-Type"] = "application/json"
            sent = json.dumps(body, ensure_ascii=False).encode()
        reply = send(method, settings.HUBSPOT_API_URL + path, headers=headers, body=sent)
        if 200 <= reply.status < 300:
            return json_of(reply)
        # Two notes of one caller at once: the other made the contact first, and HubSpot says which it is.
        if reply.status == 409 and conflict_is_found and (existing := _EXISTING_ID.search(_message_of(reply))):
            return {"id": existing.group(1)}
        raise _failure(reply.status, retry_after_s(reply))


def as_html(note: CalledNote, mark: str) -> str:
    """Return a note's body; every word of the call is escaped, because HubSpot shows it as HTML."""
    text = note.text
    facts = [(field.label, field.value) for field in text.fields]
    facts += [("Outcome", text.outcome_label), ("Sentiment", text.sentiment_label)]
    facts += [("Follow up on", text.follow_up_date.isoformat())] if text.follow_up_date else []
    parts = [f"<p>{escape(text.summary)}</p>"] if text.summary else []
    parts += [f"<p><b>{escape(name)}:</b> {escape(value)}</p>" for name, value in facts if value]
    parts += [f"<p>To do: {escape(action.text)}</p>" for action in text.actions]
    called = f"Call with {escape(note.agent_name or 'an assistant')}, {note.called_at:%Y-%m-%d %H:%M}."
    ending = f'<p>{called} {escape(note.label)} <a href="{escape(note.url)}">The call</a> {mark}</p>'
    return "".join(_fitting(parts, _BODY_CHARS_MAX - len(ending))) + ending


def _fitting(parts: list[str], chars_max: int) -> list[str]:
    """Leave out whole parts, and not half a tag, of what is longer than HubSpot takes."""
    while sum(map(len, parts)) > chars_max:
        parts = parts[:-1]
    return parts


def _ways_to_find(contact: Contact) -> list[list[list[Json]]]:
    """Return searches, best first; each is a list of groups of which one has to fit, as HubSpot reads them."""
    ways = []
    if contact.email:
        ways.append([[_equal("email", contact.email)]])
    if contact.phone:
        typed = [
            [{"propertyName": name, "operator": "IN", "values": contact.phone_forms}]
            for name in ("phone", "mobilephone")
        ]
        # HubSpot's own reading of the number leaves the country's code out.
        ways.append([*typed, [_equal("hs_searchable_calculated_phone_number", contact.local_phone)]])
    if not ways and contact.is_known:
        named = [("firstname", contact.first_name), ("lastname", contact.last_name), ("address", contact.address)]
        ways.append([[_equal(name, value) for name, value in named if value]])
    return ways


def _equal(name: str, value: str) -> Json:
    return {"propertyName": name, "operator": "EQ", "value": value}


def _message_of(reply: Reply) -> str:
    return str(json_of(reply).get("message"))


def _rows(answer: Json) -> list[Json]:
    rows = answer.get("results")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _ids(answer: Json) -> list[str]:
    return [row_id for row in _rows(answer) if (row_id := _id(row))]


def _id(row: Json) -> str:
    text = str(row.get("id") or row.get("toObjectId") or "")
    return text if re.fullmatch(r"[A-Za-z0-9_-]{1,120}", text) else ""


def _failure(status: int, retry_s: int | None) -> CrmError:
    if status == 429:
        return Temporary("busy", status=status, retry_after_s=retry_s)
    if status >= 500 or status in (408, 423, 477):
        return Temporary("failed", status=status, retry_after_s=retry_s)
    # Whoever set it up has a day to put the token or its scopes right.
    if status in (401, 403):
        return Temporary("key_refused", status=status)
    return Permanent("refused", status=status)
