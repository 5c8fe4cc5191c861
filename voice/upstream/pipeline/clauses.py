"""Cut text, as it is written, into clauses short enough to be spoken before the rest is known."""

import re

# The first clause is what the caller waits for; later ones sound better long.
FIRST_CLAUSE_MIN_CHARS = 10
CLAUSE_MIN_CHARS = 50
CLAUSE_MAX_CHARS = 220

_SENTENCE_END = re.compile(r"[.!?…。।]+[\"'”’)\]]*\s+|\n+")
_PAUSE = re.compile(r"[,;:]\s+|\s+(?=[–—]\s)")
# "Dr. ", "p.m. ", "J. ": a full stop that ends no sentence.
_ABBREVIATION = re.compile(r"(?:\b(?:mr|mrs|ms|dr|st|no|vs)|\b[a-z](?:\.[a-z])*)\.\s+$", re.IGNORECASE)


class ClauseCutter:
    """Feed it text; it returns the clauses that are complete. Joined, they are the text, character by character."""

    def __init__(self) -> None:
        self._rest = ""
        self._min_chars = FIRST_CLAUSE_MIN_CHARS

    def feed(self, text: str) -> list[str]:
        self._rest += text
        clauses = []
        while end := self._end_of_clause():
            clauses.append(self._rest[:end])
            self._rest = self._rest[end:]
            self._min_chars = CLAUSE_MIN_CHARS
        return clauses

    def flush(self) -> list[str]:
        """Return what is left, now that no more text comes."""
        rest, self._rest = self._rest, ""
        return [rest] if rest else []

    def _end_of_clause(self) -> int:
        """Return the length of the next clause, 0 when its end has not come yet."""
        ends = [m.end() for m in _SENTENCE_END.finditer(self._rest) if not _ABBREVIATION.search(self._rest[: m.end()])]
        ends += [m.end() for m in _PAUSE.finditer(self._rest) if m.end() >= self._min_chars]
        if ends and min(ends) <= CLAUSE_MAX_CHARS:
            return min(ends)
        if len(self._rest) <= CLAUSE_MAX_CHARS:
            return 0
        return self._rest.rfind(" ", 0, CLAUSE_MAX_CHARS) + 1 or CLAUSE_MAX_CHARS
