"""What the meter refuses."""


class OutOfCredit(Exception):
    """Not even a short response can be paid. `reason`: "wallet", "cap" (the month's) or "ceiling" (the agent's today).

    `may_be_refilled`: credits are on their way to the wallet, and asking again in a moment may succeed.
    """

    def __init__(self, reason: str, *, may_be_refilled: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.may_be_refilled = may_be_refilled
