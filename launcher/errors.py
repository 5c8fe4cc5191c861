"""The one error a person sees: a sentence that says what to do."""


class Halt(Exception):
    """Stop here: its text is one plain sentence for the person at the terminal, printed without a traceback."""

    def __init__(self, sentence: str, exit_code: int = 1) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code
