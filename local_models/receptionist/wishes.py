"""What a caller wants done, in their own words: the part of a sentence that is neither who, where nor when."""

import re

from local_models.receptionist.normalise import listed, lower, plain

WISH_MAX_CHARS = 120

_LEAD = (
    r"(?:i(?:'d| would| was)?(?: really| just)? (?:like|love|want|wish)|i(?:'d)?(?: really| just)? "
    r"(?:need|want|wanted|require)|we(?:'d| would)?(?: really)? (?:like|need|want)|i'm (?:looking|"
    r"hoping|trying|calling|interested)|"
    r"i am (?:looking|hoping|trying|calling)|looking|calling|can (?:i|we|you|someone)|could (?:i|we|"
    r"you|someone)|may i|i have to|i've got to|i'll|let's|please|is it possible)"
)
_JOIN = (
    r"(?:\s+(?:to|for|about|in|please|just|also|maybe|possibly|you to|someone to|somebody to|someone "
    r"who can|somebody who can|anyone to|it's|a person to))*"
)
_DOING = (
    r"(?:\s+(?:book|schedule|make|get|have|set up|arrange|reserve|order|request|come(?: in)?|see|see "
    r"about|speak|help(?: me)?(?: with)?|send(?: me)?(?: someone| somebody)?|take|do|make an|put me "
    r"down)(?:\s+(?:me|us|in|someone|somebody))*)*"
)
_GENERIC = (
    r"(?:\s*(?:an?|the|my|another|some)?\s*(?:appointment|booking|reservation|visit|slot|session|time|"
    r"meeting)s?\b(?:\s*(?:for|to(?: have| get)?|about|with))*)?"
)
_WISH = re.compile(rf"\b{_LEAD}{_JOIN}{_DOING}{_JOIN}{_GENERIC}{_JOIN}{_DOING}\s+(?P<wish>[^|.?!;]+)")
_BARE_BOOKING = re.compile(rf"\b(?:book|schedule|arrange|reserve){_JOIN}{_GENERIC}\s+(?P<wish>[^|.?!;]+)")
_FOR = re.compile(
    r"\b(?:it's|its|it is|this is|appointment|booking|visit|that's|that would be|need it) (?:for|"
    r"about|regarding)\s+(?P<wish>[^|.?!;]+)"
)
_TROUBLE = re.compile(
    r"(?P<wish>\b(?:my|our|the|a|an)\s+[\w' -]{2,50}?\s(?:is|are|was|has|have|isn't|aren't|won't|"
    r"doesn't|don't|keeps?|stopped|broke|needs?|hurts?|fell|started|got|quit|died|won't|can't|leaks?|"
    r"burst|aches?)\b[^|.?!;]*)"
)
# "My address is |": what followed was understood as something else, so nothing is wrong with the address.
_UNFINISHED = re.compile(
    r"\b(?:is|are|was|has|have|isn't|aren't|needs?|started|got)(?:\W|\b(?:at|on|in|for|to|with|"
    r"under)\b)*$"
)
_HAVE = re.compile(
    r"\b(?:i have|i've got|i got|we have|we've got|there's|there is|it's)\s+(?P<wish>(?:an?|some|no|"
    r"two|three|this)\s+[^|.?!;]+)"
)
_TAIL = re.compile(
    r"(?:\W|\b(?:to come(?: out| over| in)?|to be|come(?: out| over)?|please|thanks|thank you|in|on|"
    r"at|for|to|by|around|about|the|a|an|and|with|from|my|is|it's|i'm|or|if possible|if you can|"
    r"as well|would be|you|so|of|this|next|some ?time|anytime|done|could|can|do|have|there)\b)+$"
)
_HEAD = re.compile(
    r"^(?:\W|\b(?:to|for|about|someone to|somebody to|in|an?|some|the|with|have|get|do|please|my(?= "
    r"\w+ \w*ed\b)|just|maybe|like|yes|yeah|well|so|um|hi|hello|it's|its|that's|that would be|i think|"
    r"need|i need|i'd like|i want)\b)+\s*"
)
_EMPTY = set(
    listed(
        "appointment booking reservation visit slot session time meeting something anything someone "
        "somebody it that this one come in out over see you "
        "hear there today tomorrow day help question a an the my do have make know ask talk speak person "
        "human people change cancel repeat move "
        "two three four five six seven eight nine ten table number name address phone afternoon morning "
        "evening week new another can could would be "
        "wondering idea problem sure fine good to for with at on up down minute second moment nothing "
        "else more me us is are what when where how if "
        "not no yes still anymore now earlier later different other back call callback real live actual manager agent"
    )
)


def find(text: str) -> tuple[str, tuple[int, int]] | None:
    """Find what the caller asks for in text whose names, places and times were blanked out."""
    heard = lower(text)
    for pattern in (_WISH, _BARE_BOOKING, _FOR, _TROUBLE, _HAVE):
        for match in pattern.finditer(heard):
            start, end = match.span("wish")
            if pattern is _TROUBLE and _UNFINISHED.search(heard[start:end]):
                continue
            if pattern is _WISH and (trouble := _TROUBLE.search(heard, start, end)) and trouble.start("wish") > start:
                start = trouble.start("wish")
            if wish := trim(text[start:end]):
                return wish, (match.start(), end)
    return None


def read_answer(text: str) -> str | None:
    """Take a whole answer to "what do you need?" as the wish."""
    found = find(text)
    return found[0] if found else trim(text.replace("|", " "))


def trim(wish: str) -> str | None:
    """Cut courtesies off both ends. None when nothing of substance is left."""
    previous = None
    while wish != previous:
        previous = wish
        wish = _HEAD.sub("", _tail_off(wish.strip()))
    content = [word for word in plain(wish).split() if word not in _EMPTY and len(word) > 1]
    if not content or not re.search(r"[^\W\d_]{3}", wish):
        return None
    wish = wish[:WISH_MAX_CHARS].strip(" ,")
    return wish[:1].lower() + wish[1:] if wish[1:2].islower() else wish


def _tail_off(wish: str) -> str:
    match = _TAIL.search(lower(wish))
    return wish[: match.start()] if match else wish
