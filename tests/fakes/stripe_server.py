"""A Stripe on loopback that does what a test says: the real `stripe` library talks to it over HTTP.

The test moves its objects (a buyer pays, a bank disputes); each move emits an event, which the test delivers when,
and as often as, it likes. Requests can be made to fail, to be answered too late, or to kill the one who asks.
"""

import contextlib
import copy
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import stripe

KEY = "sk_test_fake"
SECRET = "whsec_fake"
ADDRESS = {"line1": "1 Main Street", "city": "Springfield", "country": "US", "line2": None, "postal_code": "12345"}


class FakeStripe:
    def __init__(self):
        self.reset()

    def reset(self):
        self.objects, self.answers, self.events, self.requests = {}, {}, [], []
        # (HTTP status, code) to answer the next requests with, instead of doing anything.
        self.failures = []
        # What the next charge of a saved card brings: "" for success, else an error code.
        self.card = ""

    def __enter__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self.server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    # What buyers, banks and the dashboard do.

    def pay(self, checkout_id, *, discount=0, tax=0, **changes):
        """The buyer pays at once."""
        session = self._complete(checkout_id, discount, tax)
        if session["amount_total"]:
            self._receive(session["payment_intent"])
        session |= {"payment_status": "paid" if session["amount_total"] else "no_payment_required"} | changes
        self.emit("checkout.session.completed", checkout_id)

    def pay_later(self, checkout_id):
        """The buyer uses a method that takes days."""
        session = self._complete(checkout_id, 0, 0)
        self.objects[session["payment_intent"]]["status"] = "processing"
        self.emit("checkout.session.completed", checkout_id)

    def money_arrives(self, checkout_id):
        session = self.objects[checkout_id]
        self._receive(session["payment_intent"])
        session["payment_status"] = "paid"
        self.emit("checkout.session.async_payment_succeeded", checkout_id)

    def money_stays_away(self, checkout_id):
        payment = self.objects[self.objects[checkout_id]["payment_intent"]]
        payment |= {"status": "requires_payment_method", "last_payment_error": {"code": "insufficient_funds"}}
        self.emit("payment_intent.payment_failed", payment["id"])
        self.emit("checkout.session.async_payment_failed", checkout_id)

    def expire(self, checkout_id):
        self.objects[checkout_id] |= {"status": "expired", "url": None}
        self.emit("checkout.session.expired", checkout_id)

    def refund(self, payment_id, amount, status="succeeded", metadata=None):
        refund = self._add("re", "refund", payment_intent=payment_id, amount=amount, status=status)
        refund |= {"currency": self.objects[payment_id]["currency"], "metadata": metadata or {}, "reason": None}
        self.emit("refund.created", refund["id"])
        return refund

    def change_refund(self, refund_id, status):
        self.objects[refund_id]["status"] = status
        self.emit("refund.failed" if status == "failed" else "refund.updated", refund_id)

    def dispute(self, payment_id, amount, status="needs_response", currency=None):
        currency = currency or self.objects[payment_id]["currency"]
        dispute = self._add("dp", "dispute", payment_intent=payment_id, amount=amount, status=status)
        dispute |= {"currency": currency, "reason": "fraudulent"}
        self.emit("charge.dispute.created", dispute["id"])
        return dispute

    def change_dispute(self, dispute_id, status):
        self.objects[dispute_id]["status"] = status
        self.emit("charge.dispute.closed", dispute_id)

    def payment_of(self, checkout_id):
        return self.objects[checkout_id]["payment_intent"]

    # Events.

    def emit(self, kind, object_id):
        snapshot = copy.deepcopy(self.objects[object_id])
        event = self._add("evt", "event", type=kind, data={"object": snapshot}, api_version="2020-08-27")
        self.events.append(event)
        return event

    @staticmethod
    def signed(body, *, at=None, secret=SECRET):
        """The headers of a delivery of this body."""
        at = int(time.time() if at is None else at)
        return {"Stripe-Signature": stripe.WebhookSignature.generate_signature_header(body, secret, at)}

    # The API.

    def answer(self, method, path, query, form, key):
        self.requests.append((method, path, form))
        if self.failures:
            return self.failures.pop(0)
        if key in self.answers:
            first, answer = self.answers[key]
            same = first == (path, form)
            return answer if same else (400, {"error": {"type": "idempotency_error", "message": "Another request."}})
        answer = self._route(method, path.removeprefix("/v1/").split("/"), query, form)
        if key and answer[0] != 404:
            self.answers[key] = (path, form), copy.deepcopy(answer)
        return answer

    def _route(self, method, parts, query, form):
        match method, parts:
            case "POST", ["checkout", "sessions"]:
                return 200, self._checkout(form)
            case "POST", ["checkout", "sessions", checkout_id, "expire"]:
                self.expire(checkout_id)
                return 200, self.objects[checkout_id]
            case "POST", ["payment_intents"]:
                return self._charge(form)
            case "POST", ["refunds"]:
                amount = int(form["amount"])
                return 200, dict(self.refund(form["payment_intent"], amount, metadata=form["metadata"]))
            case "GET", [*_, name] if name in ("sessions", "payment_intents", "refunds", "disputes"):
                return 200, self._list(name, query)
            case "GET", [*_, object_id] if object_id in self.objects:
                return 200, self._shown(object_id, "payment_intent" if "expand[0]" in query else "")
        return 404, {
            "error": {"type": "invalid_request_error", "code": "resource_missing", "message": "No such object"}
        }

    def _checkout(self, form):
        price = form["line_items"]["0"]["price_data"]
        amount = int(price["unit_amount"])
        payment = self._payment(amount, price["currency"], form["payment_intent_data"].get("metadata", {}), form)
        session = self._add("cs", "checkout.session", status="open", payment_status="unpaid", payment_intent=None)
        session |= {"_payment": payment["id"], "url": f"{self.base}/pay/{session['id']}", "metadata": form["metadata"]}
        session |= {"currency": price["currency"], "amount_subtotal": amount, "amount_total": amount, "customer": None}
        session |= {"total_details": {"amount_discount": 0, "amount_tax": 0}, "customer_details": None}
        session |= {"client_reference_id": form.get("client_reference_id")}
        return dict(session)

    def _payment(self, amount, currency, metadata, form):
        payment = self._add("pi", "payment_intent", amount=amount, amount_received=0, currency=currency)
        payment |= {"status": "requires_payment_method", "metadata": metadata, "last_payment_error": None}
        return payment | {"customer": form.get("customer"), "payment_method": form.get("payment_method")}

    def _charge(self, form):
        made = self._payment(int(form["amount"]), form["currency"], form["metadata"], form)
        payment = self.objects[made["id"]]
        payment |= made
        if not self.card:
            self._receive(payment["id"])
            self.emit("payment_intent.succeeded", payment["id"])
            return 200, dict(payment)
        error = {"type": "card_error", "code": self.card, "decline_code": self.card, "message": "No."}
        payment["last_payment_error"] = error
        self.emit("payment_intent.payment_failed", payment["id"])
        return 402, {"error": error | {"payment_intent": dict(payment)}}

    def _complete(self, checkout_id, discount, tax):
        session = self.objects[checkout_id]
        total = session["amount_subtotal"] - discount + tax
        session |= {"status": "complete", "amount_total": total, "customer": "cus_1", "url": None}
        session["total_details"] = {"amount_discount": discount, "amount_tax": tax}
        tax_ids = [{"type": "in_gst", "value": "29ABCDE1234F2Z5"}]
        session["customer_details"] = {"name": "Ann Buyer", "email": "ann@example.com", "address": ADDRESS}
        session["customer_details"]["tax_ids"] = tax_ids
        if total:
            session["payment_intent"] = session["_payment"]
            self.objects[session["_payment"]] |= {"amount": total, "customer": "cus_1", "payment_method": "pm_1"}
        return session

    def _receive(self, payment_id):
        payment = self.objects[payment_id]
        payment |= {"status": "succeeded", "amount_received": payment["amount"]}

    def _add(self, prefix, kind, **fields):
        object_id = f"{prefix}_{len(self.objects)}"
        made = {"id": object_id, "object": kind, "created": int(time.time()), "livemode": False} | fields
        self.objects[object_id] = made
        return made

    def _shown(self, object_id, expand):
        shown = dict(self.objects[object_id])
        if expand and shown.get(expand):
            shown[expand] = self.objects[shown[expand]]
        return shown

    def _list(self, name, query):
        kind = {"sessions": "checkout.session"}.get(name, name.removesuffix("s"))
        wanted = {field: value for field, value in query.items() if field in ("customer", "payment_intent")}
        found = [made for made in self.objects.values() if made["object"] == kind and wanted.items() <= made.items()]
        return {"object": "list", "data": found[::-1], "has_more": False, "url": f"/v1/{name}"}


def _nested(pairs):
    """`a[b][0]=c` as Stripe reads it."""
    tree = {}
    for name, value in pairs:
        *path, last = name.replace("]", "").split("[")
        node = tree
        for step in path:
            node = node.setdefault(step, {})
        node[last] = value
    return tree


def _handler_for(fake):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._do("GET", {})

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            self._do("POST", _nested(parse_qsl(body, keep_blank_values=True)))

        def _do(self, method, form):
            url = urlsplit(self.path)
            query = dict(parse_qsl(url.query))
            with fake_lock:
                status, answer = fake.answer(method, url.path, query, form, self.headers.get("Idempotency-Key", ""))
            # One who died while waiting takes no answer.
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_):
            pass

    fake_lock = threading.Lock()
    return Handler
