"""A HubSpot on loopback: contacts, notes, their searches and associations, and every bad day it can have.

As the real one: e-mail addresses are unique, notes have no unique outside id, searches see a new object only after
`search_lags` further requests, associations at once.
"""

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

TOKEN = "pat-eu1-fake"
# What it does with the requests to come, instead of answering them.
DOWN, SLOW, BUSY, FAILING, RUDE, FORBIDDEN = "down", "slow", "429", "500", "rude", "403"


@dataclass
class FakeHubSpot:
    """Use as `with FakeHubSpot() as hubspot`; `moods` are used up in order, one a request, then it behaves."""

    moods: list[str] = field(default_factory=list)
    search_lags: int = 0
    port: int = 0
    # Told of each request after it was carried out and before it is answered: (method, path).
    after: Callable[[str, str], None] = lambda method, path: None

    def __post_init__(self) -> None:
        self.contacts: dict[str, dict[str, str]] = {}
        self.notes: dict[str, dict[str, str]] = {}
        self.associations: list[tuple[str, str]] = []
        self.requests: list[tuple[str, str]] = []
        self._seen_from: dict[str, int] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> "FakeHubSpot":
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler_for(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add_contact(self, **properties: str) -> str:
        return self._add(self.contacts, properties)

    def notes_of(self, contact_id: str) -> list[str]:
        return [self.notes[note]["hs_note_body"] for note, contact in self.associations if contact == contact_id]

    def answer(self, method: str, path: str, token: str, body: Any) -> tuple[int, Any]:
        with self._lock:
            self.requests.append((method, path))
            if token != f"Bearer {TOKEN}":
                return 401, _error("INVALID_AUTHENTICATION")
            status, answer = self._route(method, path, body)
        self.after(method, path)
        return status, answer

    def _route(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        match (method, path.removeprefix("/crm/v3/objects/").split("/")):
            case ("GET", ["contacts"]) | ("GET", ["notes"]):
                return 200, {"results": []}
            case ("POST", ["contacts", "search"]):
                return 200, self._search(self.contacts, body)
            case ("POST", ["notes", "search"]):
                return 200, self._search(self.notes, body)
            case ("POST", ["contacts"]):
                return self._create_contact(body["properties"])
            case ("POST", ["notes"]):
                return self._create_note(body)
            case ("GET", ["contacts", contact_id, "associations", "notes"]):
                found = [note for note, contact in self.associations if contact == contact_id]
                return 200, {"results": [{"id": note, "type": "contact_to_note"} for note in found]}
            case ("POST", ["notes", "batch", "read"]):
                wanted = [each["id"] for each in body["inputs"]]
                return 200, {"results": [_row(note, self.notes[note]) for note in wanted if note in self.notes]}
        return 404, _error("NOT_FOUND")

    def _create_contact(self, properties: dict[str, str]) -> tuple[int, Any]:
        email = properties.get("email", "")
        if email and not re.fullmatch(r"[^@\s]+@[a-z0-9.-]+\.[a-z]+", email):
            return 400, _error("VALIDATION_ERROR")
        for contact_id, contact in self.contacts.items():
            if email and contact.get("email") == email:
                return 409, _error("CONFLICT", f"Contact already exists. Existing ID: {contact_id}")
        contact_id = self._add(self.contacts, properties)
        return 201, _row(contact_id, properties)

    def _create_note(self, body: dict[str, Any]) -> tuple[int, Any]:
        if not {"hs_timestamp", "hs_note_body"} <= set(body["properties"]) or len(str(body)) > 66_000:
            return 400, _error("VALIDATION_ERROR")
        note_id = self._add(self.notes, body["properties"])
        for each in body.get("associations", []):
            assert each["types"] == [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 202}]
            self.associations.append((note_id, each["to"]["id"]))
        return 201, _row(note_id, body["properties"])

    def _add(self, objects: dict[str, dict[str, str]], properties: dict[str, str]) -> str:
        object_id = str(1000 + len(self.contacts) + len(self.notes))
        objects[object_id] = dict(properties)
        self._seen_from[object_id] = len(self.requests) + self.search_lags
        return object_id

    def _search(self, objects: dict[str, dict[str, str]], body: dict[str, Any]) -> dict[str, Any]:
        seen = {key: row for key, row in objects.items() if self._seen_from[key] <= len(self.requests)}
        found = [
            _row(key, row)
            for key, row in seen.items()
            if any(all(_fits(row, each) for each in group["filters"]) for group in body["filterGroups"])
        ]
        return {"total": len(found), "results": found[: body["limit"]]}


def _fits(row: dict[str, str], wanted: dict[str, Any]) -> bool:
    name = wanted["propertyName"]
    value = row.get(name, "")
    if name == "hs_searchable_calculated_phone_number":
        value = re.sub(r"\D", "", row.get("phone", ""))[-10:]
    if wanted["operator"] == "IN":
        return value in wanted["values"]
    if wanted["operator"] == "CONTAINS_TOKEN":
        return wanted["value"] in re.findall(r"\w+", value)
    return bool(value) and value.lower() == wanted["value"].lower()


def _row(object_id: str, properties: dict[str, str]) -> dict[str, Any]:
    return {"id": object_id, "properties": properties}


def _error(category: str, message: str = "no") -> dict[str, str]:
    return {"status": "error", "category": category, "message": message}


def _handler_for(fake: FakeHubSpot) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve("GET")

        def do_POST(self) -> None:
            self._serve("POST")

        def _serve(self, method: str) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            mood = fake.moods.pop(0) if fake.moods else ""
            if mood:
                self._misbehave(mood)
                return
            path = urlsplit(self.path).path
            status, answer = fake.answer(method, path, self.headers["authorization"], json.loads(raw or b"{}"))
            self._send(status, json.dumps(answer).encode())

        def _misbehave(self, mood: str) -> None:
            match mood:
                case "down":
                    self.close_connection = True
                case "slow":
                    # Longer than anybody waits; the one who asked hangs up.
                    time.sleep(1.5)
                    self.close_connection = True
                case "429":
                    self._send(429, json.dumps(_error("RATE_LIMITS")).encode(), {"retry-after": "7"})
                case "500":
                    self._send(500, b"<html>oops</html>")
                case "403":
                    self._send(403, json.dumps(_error("MISSING_SCOPES")).encode())
                case "rude":
                    self._send(200, b"\x00\xff not JSON at all" * 10)

        def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"content-type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
