"""A meter without a wallet: it allows so many responses and remembers what was recorded."""

from collections.abc import Mapping
from typing import Any

from voice.metering.meter import Allowance, Charge, OutOfCredit, Receipt


class FakeMeter:
    def __init__(self, *, responses_paid_for: int = 100, low_from: int = 1000) -> None:
        self.used_micro = 0
        self.prepared: list[int] = []
        self.recorded: list[str] = []
        self.transcribed: list[str] = []
        self.models: list[str] = []
        self.estimated: list[dict[str, Any]] = []
        self._left, self._low_from = responses_paid_for, low_from

    async def prepare_response(self, context_tokens: int, wanted_output_tokens: int) -> Allowance:
        if len(self.recorded) >= self._left:
            raise OutOfCredit("insufficient_credits")
        self.prepared.append(context_tokens)
        return Allowance(max_output_tokens=wanted_output_tokens, low=len(self.recorded) >= self._low_from)

    async def record_response(self, response: Mapping[str, Any], served_model: str) -> Charge:
        self.recorded.append(response["id"])
        self.used_micro += 1000
        return Charge(1000, 0, repeated=False)

    async def record_transcription(self, item_id: str, usage: Mapping[str, Any] | None, model: str) -> Charge:
        self.transcribed.append(item_id)
        self.used_micro += 10
        return Charge(10, 0, repeated=False)

    async def record_estimate(self, response_id: str, **delivered: int) -> Charge:
        self.estimated.append({"response_id": response_id, **delivered})
        return Charge(500, 0, repeated=False)

    async def change_model(self, slug: str, *, is_voice: bool) -> None:
        self.models.append(slug)

    async def refuse_unpayable(self, slug: str, **_: object) -> None:
        pass

    async def settle(self) -> Receipt:
        return Receipt((), self.used_micro, 0)
