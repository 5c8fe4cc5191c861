"""Asks Parley for tickets as browsers would: a CAPTCHA solved once an address, then one POST a call.

Its limits are a browser's: sixty attempts a minute from one address. So the callers of a bench come from several
addresses of the loopback network.
"""

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import altcha

_STARTS_A_MINUTE = 50
_TIMEOUT_S = 30.0
# What is refused for a moment is asked for again, and counted: it belongs in the report.
_TRIES, _PAUSE_S = 3, 0.5


class NotAdmitted(Exception):
    """Parley refused a call; the text is its answer."""


class Unavailable(NotAdmitted):
    """Parley could not say, and asks to try again."""


@dataclass
class _Address:
    """A caller's address, when it last started calls, and the cookies that tell it solved its CAPTCHA."""

    ip: str
    cookie: str = ""
    starts: list[float] = field(default_factory=list)

    def has_room(self, now: float) -> bool:
        self.starts = [at for at in self.starts if now - at < 70.0]
        return len(self.starts) < _STARTS_A_MINUTE


class Admission:
    def __init__(self, port: int, agent_key: str) -> None:
        self._port, self._agent_key = port, agent_key
        self._addresses: list[_Address] = []
        self.repeated = 0
        # One thread: admissions are one after another in Parley too.
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="admission")

    def ticket(self) -> str:
        """Return a fresh ticket; raises NotAdmitted or OSError."""
        for _ in range(_TRIES - 1):
            try:
                return self._ticket()
            except Unavailable:
                self.repeated += 1
                time.sleep(_PAUSE_S)
        return self._ticket()

    def _ticket(self) -> str:
        address = self._address_with_room(time.monotonic())
        address.starts.append(time.monotonic())
        body = {"agent": self._agent_key, "voice": True}
        if not address.cookie:
            body["captcha"] = self._solve(address)
        status, answer, cookies = self._ask(address, "POST", "/v1/voice/sessions", body)
        if status == 403 and address.cookie:
            # What was solved counts for some minutes only, and a run takes longer.
            address.cookie = ""
            return self._ticket()
        if status != 201:
            raise (Unavailable if status == 503 else NotAdmitted)(f"{status} {answer}")
        address.cookie = address.cookie or "; ".join(cookie.split(";")[0] for cookie in cookies)
        return str(answer["ticket"])

    def _address_with_room(self, now: float) -> _Address:
        for address in self._addresses:
            if address.has_room(now):
                return address
        self._addresses.append(_Address(f"127.0.0.{len(self._addresses) + 2}"))
        return self._addresses[-1]

    def _solve(self, address: _Address) -> str:
        _, answer, _ = self._ask(address, "GET", "/v1/captcha/challenge", None)
        challenge = altcha.Challenge.from_dict(answer)
        solution = altcha.solve_challenge(challenge)
        if solution is None:
            raise NotAdmitted("the CAPTCHA could not be solved")
        return altcha.Payload(challenge, solution).to_base64()

    def _ask(
        self, address: _Address, method: str, path: str, body: dict[str, object] | None
    ) -> tuple[int, dict[str, object], list[str]]:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._port, timeout=_TIMEOUT_S, source_address=(address.ip, 0)
        )
        headers = {"Origin": f"http://127.0.0.1:{self._port}", "Content-Type": "application/json"}
        if address.cookie:
            headers["Cookie"] = address.cookie
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
            return response.status, answer, response.headers.get_all("Set-Cookie") or []
        finally:
            connection.close()
