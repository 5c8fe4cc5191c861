"""What the meter refuses."""


class OutOfCredit(Exception):
    """Not even a short response can be paid. `reason`: "wallet", or "ceiling" (the agent's for today)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
