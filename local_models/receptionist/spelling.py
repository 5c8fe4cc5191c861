"""Words spelled out letter by letter."""

import re
from difflib import SequenceMatcher

from local_models.receptionist.normalise import lower

# How a recogniser writes letters when it takes them for words. Only believed inside a run of letters.
_SOUNDS = {
    "ay": "a",
    "eh": "a",
    "bee": "b",
    "be": "b",
    "see": "c",
    "sea": "c",
    "cee": "c",
    "dee": "d",
    "ee": "e",
    "ef": "f",
    "eff": "f",
    "gee": "g",
    "aitch": "h",
    "haitch": "h",
    "eye": "i",
    "jay": "j",
    "kay": "k",
    "okay": "k",
    "el": "l",
    "ell": "l",
    "em": "m",
    "en": "n",
    "and": "n",
    "oh": "o",
    "owe": "o",
    "pea": "p",
    "pee": "p",
    "cue": "q",
    "queue": "q",
    "are": "r",
    "ar": "r",
    "ess": "s",
    "es": "s",
    "tea": "t",
    "tee": "t",
    "you": "u",
    "yew": "u",
    "vee": "v",
    "we": "v",
    "ex": "x",
    "why": "y",
    "wye": "y",
    "zee": "z",
    "zed": "z",
}
_TOKEN = re.compile(r"[^\W\d_]+(?:[-'][^\W\d_]+)*|[.,;]")
_ANNOUNCED = re.compile(
    r"\b(?:spell(?:ed|t|ing)?(?:\s+(?:it|is|that|as|my|the|name|like|this|so))*|letters?(?:\s+are)?|"
    r"that's|it's)\W*$"
)
_BREAKS = {"space", "then", "next", "new", "last", "surname", "first", "second", "name", "word"}
LETTERS_MIN = 3
SIMILAR = 0.45


def find(text: str, *, asked: bool = False) -> tuple[list[str], tuple[int, int]] | None:
    """Return spelled words and where they were: "N-G-U-Y-E-N", "s a r a", "N as in Nancy, G ...", "double l"."""
    best: tuple[list[str], tuple[int, int]] | None = None
    position = 0
    while reading := _read_run(text, position, asked):
        letters, span = reading
        position = span[1]
        if best is None or sum(map(len, letters)) > sum(map(len, best[0])):
            best = reading
    return best


def apply(name: str, spelled: list[str], part: str | None) -> str:
    """Put spelled words into a name: in place of the part that was named, or of the one that sounds most alike."""
    spelled = [word.capitalize() for word in spelled]
    known = name.split()
    if len(spelled) > 1 or not known:
        return " ".join(spelled)
    word = spelled[0]
    if part == "first":
        return " ".join([word, *known[1:]])
    if part == "last":
        return " ".join([*known[:-1], word]) if len(known) > 1 else f"{known[0]} {word}"
    return _replace_alike(known, word)


def _replace_alike(known: list[str], word: str) -> str:
    if len(known) == 2 and (halves := _split_alike(known, word)):
        return " ".join(halves)
    scores = [_alike(part, word) for part in known]
    if len(known) > 1 and max(scores) >= SIMILAR:
        known[scores.index(max(scores))] = word
        return " ".join(known)
    return word


def _split_alike(known: list[str], word: str) -> list[str] | None:
    """Cut "Sarajohnson" into the two names it was spelled for, if it sounds like them."""
    if len(word) < len("".join(known)) - 2:
        return None
    cuts = [(word[:at], word[at:]) for at in range(2, len(word) - 1)]
    if not cuts:
        return None
    first, last = max(cuts, key=lambda cut: _alike(known[0], cut[0]) + _alike(known[1], cut[1]))
    if min(_alike(known[0], first), _alike(known[1], last)) < SIMILAR:
        return None
    return [first, last.capitalize()]


def _alike(one: str, other: str) -> float:
    return SequenceMatcher(None, one.lower(), other.lower()).ratio()


def _read_run(text: str, start: int, asked: bool) -> tuple[list[str], tuple[int, int]] | None:
    """Read the next run of letters at or after a position."""
    heard = lower(text)
    tokens = [(match.group(), match.start(), match.end()) for match in _TOKEN.finditer(heard, start)]
    for index in range(len(tokens)):
        believed = asked or bool(_ANNOUNCED.search(heard[: tokens[index][1]]))
        groups, used = _letters(text, tokens[index:], believed)
        enough = sum(map(len, groups)) >= (2 if believed else LETTERS_MIN)
        if used and enough:
            return groups, (tokens[index][1], tokens[index + used - 1][2])
    return None


def _letters(text: str, tokens: list[tuple[str, int, int]], believed: bool) -> tuple[list[str], int]:
    """Return the words spelled from the first token on, and how many tokens they took."""
    groups = [""]
    used = index = 0
    last_whole = False
    while index < len(tokens):
        token, start, end = tokens[index]
        letters, step = _token_letters(tokens, index, text[start:end], believed, bool(groups[-1]))
        if letters:
            whole = len(letters) > 1
            if groups[-1] and whole and last_whole:
                groups.append("")
            groups[-1] += letters
            last_whole = whole
            index += step
            used = index
        elif groups[-1] and (token in ".,;" or token in _BREAKS):
            if token in _BREAKS:
                groups.append("")
            index += 1
        else:
            break
    return [group for group in groups if group], used


def _token_letters(
    tokens: list[tuple[str, int, int]], index: int, written: str, believed: bool, started: bool
) -> tuple[str, int]:
    """Return the letters that a token stands for and how many tokens they take, or nothing."""
    token = tokens[index][0]
    follows = tokens[index + 1][0] if index + 1 < len(tokens) else ""
    if token == "double" and len(follows) == 1 and follows.isalpha():
        if follows == "u" and not started:
            return "w", 2
        return follows * 2, 2
    if token == "capital":
        return _token_letters(tokens, index + 1, follows, believed, started) if follows else ("", 1)
    if re.fullmatch(r"[^\W\d_](?:-[^\W\d_])+", token):
        return token.replace("-", ""), 1
    if len(token) == 1 and token.isalpha():
        return token, 1 + _example(tokens, index)
    if believed and len(token) > 1 and written.isupper() and token.isalpha():
        return token, 1
    if started and token in _SOUNDS and not _ends_run(tokens, index):
        return _SOUNDS[token], 1 + _example(tokens, index)
    return "", 1


def _example(tokens: list[tuple[str, int, int]], index: int) -> int:
    """Count the tokens of "as in Nancy", "for Nancy", "like Nancy" after a letter."""
    following = [token for token, _, _ in tokens[index + 1 : index + 4]]
    letter = tokens[index][0][0]
    if following[:2] in (["as", "in"], ["is", "in"]) and len(following) == 3:
        return 3
    if following[:1] in (["for"], ["like"]) and len(following) > 1 and following[1].startswith(letter):
        return 2
    return 0


def _ends_run(tokens: list[tuple[str, int, int]], index: int) -> bool:
    """Say whether ordinary speech goes on here ("... and my number is"), so that a sound is really a word."""
    following = [token for token, _, _ in tokens[index + 1 : index + 3]]
    return any(len(token) > 1 and token.isalpha() and token not in _SOUNDS for token in following)
