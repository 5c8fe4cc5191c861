"""/healthz: does this web process live? /readyz: may calls begin at it?

Whoever restarts processes asks the first, which looks at nothing else: a restart mends no database and ends live
calls. Whoever waits for a process, or watches the whole from outside, asks the second.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from django.db import connections
from django.http import HttpRequest, HttpResponse, JsonResponse

from config import stopping
from voice.status.parts import PartNow, look_at_services
from voice.status.states import State

# Many load balancers ask often; together they cost one look a second.
_KEPT_S = 1.0
# Shorter than any of them waits: a database that does not even refuse is away, too.
_WITHIN_S = 3.0

Look = Callable[[], list[PartNow]]


class HealthMiddleware:
    """Answers both before anything asks by which name or how safely: probes know a process by its bare address."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._pages = {"/healthz": healthz, "/readyz": readyz}

    def __call__(self, request: HttpRequest) -> HttpResponse:
        page = self._pages.get(request.path)
        if page is None or request.method not in ("GET", "HEAD"):
            return self._get_response(request)
        answer = page()
        answer["Cache-Control"] = "no-store"
        return answer


class Looker:
    """Looks in a thread of its own, one at a time, so that nobody waits without end for what does not answer."""

    def __init__(self, look: Look = look_at_services) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._found: Future[list[PartNow]] | None = None
        self._began_s = 0.0

    def get(self) -> list[PartNow] | None:
        """Return what was found at most a second ago or is found now; None when that takes too long."""
        try:
            return self._newest().result(_WITHIN_S)
        except TimeoutError:
            return None

    def _newest(self) -> "Future[list[PartNow]]":
        with self._lock:
            is_old = time.monotonic() - self._began_s > _KEPT_S
            if self._found is None or (is_old and self._found.done()):
                found, began_s = Future[list[PartNow]](), time.monotonic()
                # No thread that a process which ends would wait for.
                threading.Thread(target=self._look_into, args=(found,), daemon=True).start()
                self._found, self._began_s = found, began_s
            return self._found

    def _look_into(self, found: "Future[list[PartNow]]") -> None:
        try:
            found.set_result(self._look())
        except Exception as error:
            # Of whoever asked: a look that never ends would be the last one.
            found.set_exception(error)
        finally:
            connections.close_all()


def healthz() -> JsonResponse:
    if stopping.is_stopping():
        return JsonResponse({"status": "stopping"}, status=503)
    return JsonResponse({"status": "ok"})


def readyz() -> JsonResponse:
    """Say by name what a call needs and does not find: the database, and Redis where it is set."""
    if stopping.is_stopping():
        return JsonResponse({"status": "stopping"}, status=503)
    parts = _looker.get()
    if parts is None:
        return JsonResponse({"status": "unavailable", "reason": f"no answer within {_WITHIN_S:g} s"}, status=503)
    found = {part.part.key: "unreachable" if part.state == State.OUTAGE else "ok" for part in parts}
    is_ready = "unreachable" not in found.values()
    return JsonResponse({"status": "ok" if is_ready else "unavailable", **found}, status=200 if is_ready else 503)


_looker = Looker()
