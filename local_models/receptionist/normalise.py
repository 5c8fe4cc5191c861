"""Make text from a recogniser or a keyboard comparable: quotes, fillers, "p.m.", case."""

import re
import unicodedata

# One turn of speech is under a thousand characters; a flood of text must not cost more than that.
TEXT_MAX_CHARS = 2000

_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "‑": "-", " ": " "})
_NOISE = re.compile(r"\[[^\]]{0,40}\]|<[^>]{0,40}>|[♪♫…]+|\*[^*]{0,30}\*")
_FILLERS = re.compile(r"(?<![\w'-])(?:u+m+|u+h+(?![ -]?h)|e+r+m*|h+m+|a+h+|you know,)(?![\w'-]),?\s*", re.IGNORECASE)
_MERIDIEM = re.compile(r"(?<![a-z])(?<![a-z]\.)([ap])\.?\s?m(?:\.|\b)(?![a-z])", re.IGNORECASE)
_INVENTED = {"you", "thank you for watching", "thanks for watching"}


def clean(text: str) -> str:
    """Return the turn without noise marks, fillers and odd quotes; case and punctuation stay."""
    text = unicodedata.normalize("NFKC", text[:TEXT_MAX_CHARS]).translate(_QUOTES)
    text = _NOISE.sub(" ", text)
    text = _FILLERS.sub("", " ".join(text.split()))
    text = _MERIDIEM.sub(lambda match: match.group(1).lower() + "m", text)
    text = re.sub(r"(\d) ([ap])(?=[.?!]?$)", r"\1 \2m", " ".join(text.split()))
    return "" if plain(text) in _INVENTED else text


def lower(text: str) -> str:
    """Lower-case without changing the length, so that positions in one are positions in the other."""
    return "".join(small if len(small := char.lower()) == 1 else char for char in text)


def plain(text: str) -> str:
    """Return lower-case words separated by single spaces, without punctuation but with apostrophes."""
    return " ".join(re.findall(r"[^\W_]+(?:'[^\W_]+)*", lower(text)))


def words(text: str) -> list[str]:
    return plain(text).split()


def blank(text: str, spans: list[tuple[int, int]]) -> str:
    """Replace parts that were understood by a mark no word can cross."""
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + " | " + text[end:]
    return text


def title(text: str) -> str:
    """Capitalise words that have no capital of their own ("mcDonald" stays)."""
    return " ".join(word if word != word.lower() else _capital(word) for word in text.split())


def _capital(word: str) -> str:
    return "-".join(part[:1].upper() + part[1:] for part in word.split("-"))


def listed(text: str) -> list[str]:
    """Return the words of a table written as one string, which is easier to read and edit than a list."""
    return text.split()
