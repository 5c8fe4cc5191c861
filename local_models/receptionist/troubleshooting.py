"""Going through a guide's steps with a caller: what to say for each, and what an answer to it means."""

import re
from dataclasses import dataclass
from enum import Enum

from local_models.receptionist.instructions import Guide
from local_models.receptionist.normalise import plain
from local_models.receptionist.phrases import DID_THAT_HELP, DOES_IT_WORK_NOW


class Outcome(Enum):
    """What a caller says came of a step."""

    FIXED = "it works now"
    NOT_FIXED = "it does not work, or the step cannot be done"
    DONE = "the step is done; whether it helped was not said"
    BUSY = "the caller is still at it"


_YES = r"(?:yes|yeah|yep|yup|yea)"
_COURTESY = (
    r"(?:please|thanks|thank you|very much|so much|great|perfect|indeed|actually|sir|ma'am|i think so|it seems so)"
)
# A yes with anything else behind it ("yes, I've plugged it in") answers what was to be done, not whether it helped.
_ONLY_YES = re.compile(
    rf"(?:oh |ah |well )?{_YES}(?: {_YES})*(?: (?:it|that|this) (?:did|has|does|is|sure did|"
    rf"really did))?(?: {_COURTESY})*"
)
_WORKS = (
    r"(?:works?|worked|working|fix(?:e[sd])?|help(?:s|ed)?|solved|resolved|online|connected|back|better|sorted|"
    r"on again)"
)
_NEGATED = re.compile(
    rf"\b(?:not|never|nothing|nor|neither|hardly|barely|no longer|\w+n't)(?: (?!and\b|but\b|"
    rf"now\b)\w+){{0,3}}? {_WORKS}\b"
)
_FIXED = re.compile(
    r"\b(?:fixed|(?:it|that|this|everything|internet|wi ?fi|connection|network) (?:all )?"
    r"(?:works|worked|has worked|is working|helped|has helped|did|did it|did the trick|solved it)"
    r"(?! (?:not|nothing|for a|before|until|yesterday|in the))|"
    r"works (?:now|again|fine|great|perfectly)|(?:it's|that's|we're|i'm|everything's|now|all) (?:all )?working|"
    r"working (?:now|again|fine)|that's (?:better|done the trick|helped|solved it)|solved|resolved|sorted|"
    r"all good(?: now)?|"
    r"good (?:now|to go)|(?:it's|we're|internet's|internet is|wi ?fi is|wi ?fi's|connection is|is|am|are|came|got) "
    r"(?:all )?(?:back(?: (?:on|up|online|again|now))?|online(?: again| now)?|connected (?:again|now))"
    r"(?! (?:in|to the wall|to the router|into|where))|"
    r"back (?:up|online)|i'm (?:back on|online|connected (?:again|now))\b|(?:have|got) (?:the )?(?:internet|wi ?fi|"
    r"connection|signal) (?:again|back|now)|"
    r"(?:fine|okay|faster|fast|better|normal) (?:again|now)|it's (?:faster|better)|problem(?:'s| is) (?:gone|over))\b"
)
_STILL = re.compile(
    r"\bstill (?!works\b|working\b|fine\b)|\bbut (?:it's |it |that |now |the )?(?:\w+ ){0,3}(?:not|n't|no|slow|down|"
    r"same|"
    r"stopped|\w+n't)\b|\b(?:down|gone|off|dead|slow|broken|stopped|dropped|lost it) again\b|\bnow it's (?:down|"
    r"gone|slow)\b"
)
_NOT_FIXED = re.compile(
    r"^(?:(?:oh|well|um|sorry|unfortunately|hmm|and|but|okay|ok) )*(?:no|nope|nah|not|nothing|negative|neither)\b|"
    r"\b(?:not|never|no (?:change|luck|difference|good|internet|connection|signal|improvement|effect|use)|nothing|same|"
    r"doesn't|didn't|don't|isn't|hasn't|haven't|won't|wasn't|can't|cannot|couldn't|unable|impossible|aren't|ain't|"
    r"next(?! to\b)|what else|anything else|skip|worse|useless|slow|unfortunately|"
    r"already (?:did|done|tried|checked|restarted|unplugged)|(?:did|done|tried|checked|restarted|unplugged)"
    r"(?: that| it| this| all that| all of that)? already)\b"
)
_DONE = re.compile(
    r"\b(?:done|did|finished|complete|completed|ready|what now|now what|okay|ok|alright|all right|right|then|go on|"
    r"continue|got it|sure|i have|i've|we have|we've|did so|will do|(?:un)?plugged|restarted|rebooted|checked|"
    r"pressed|turned|"
    r"tried|waited|closed|switched|moved|connected|disconnected|pushed|pulled|removed|replaced|reset|chose|chosen|"
    r"selected|"
    r"looked|stood|standing|firm|firmly|tight|tightly|plug|unplug|in|out|on|off|green|red|orange|amber|white|blue|"
    r"blinking|flashing|steady|solid|lights?|minutes?|seconds?|finish)\b"
)
_BUSY = re.compile(
    r"\bnot (?:yet|quite yet|finished|done|ready)\b|\b(?:haven't|have not) (?:done|finished|tried|got round|got to)\b"
    r"(?!.*\bnext\b)|\bstill (?:waiting|doing|looking|trying|working on|booting|rebooting|restarting|starting|loading|"
    r"counting|searching|walking)\b|\b(?:i'm|i am) (?:just |now )?(?:doing|trying|checking|looking|going|waiting|"
    r"walking|"
    r"getting|unplugging|plugging|restarting|on it|on my way)\b|\b(?:i'll|i will|i'm going to|i'm gonna|"
    r"let me) (?:just |go "
    r"and )?(?:do|try|check|look|go|get|see|have|restart|unplug|plug|find)\b|\b(?:almost|nearly) (?:done|there|"
    r"finished)\b"
)
_STILL_BROKEN = re.compile(
    r"\bstill (?!works\b|working\b|fine\b|good\b|there\b)|\b(?:not|isn't|doesn't|didn't|don't|won't|hasn't|never|"
    r"aren't|"
    r"can't|cannot) (?:\w+ ){0,2}?(?:work|working|worked|help|helped|fix|fixed|solve|solved|connect|connected|load|"
    r"loading|"
    r"online|back|better|any (?:internet|signal|connection))\b|\b(?:down|gone|off|dead|slow|broken|stopped|dropped|"
    r"lost|"
    r"started|blinking|red|failed) again\b|\bstopped(?: working)?\b|\bno (?:internet|connection|signal|change|luck|"
    r"difference|improvement)\b|\bsame (?:problem|issue|thing|as before)\b|\bnothing (?:changed|happened|works|"
    r"helped)\b"
)
_SAY_STEP_AGAIN = re.compile(
    r"\bwhat (?:was|is|were|are) (?:that|the|this) (?:last |whole |first )?(?:step|instruction|question)s?\b|"
    r"\bwhat (?:do|did|should|must|am|was|shall) i (?:have to |need to |supposed to |meant to |to )?(?:do|check|"
    r"look at|"
    r"unplug)(?! (?:now|next|then|if))\b|\b(?:tell|read|give|explain)(?: \w+){0,4} (?:again|once more)\b|"
    r"\bthe (?:step|question|instructions?) again\b|\bwhat did i have to do\b|\bi forgot\b|"
    r"\bwhat (?:were|was) (?:i|we) (?:supposed|meant)\b"
)
_LEAVING = re.compile(
    r"\b(?:good ?bye|bye|see you|see ya|have a (?:good|nice|great|lovely|wonderful) \w+|that's all|that will be all|"
    r"that'll be all|hang up|talk to you later|i have to go|i've got to go|gotta go|end (?:the |this )?call)\b"
)
_GIVING_UP = re.compile(
    r"(?:oh |no |okay |ok |well |actually |just )*(?:never ?mind|forget (?:it|about it|that)|leave it|i give up|"
    r"i'm giving up|"
    r"stop|let's stop|enough|that's enough)(?: (?:thanks|thank you|then|now|here|please|it|this))*"
)
_TECHNICIAN = re.compile(
    r"\b(?:send|need|want|get|have|like|call|rather|prefer)\b.{0,30}\b(?:technician|engineer|expert|specialist|"
    r"mechanic|"
    r"repair ?man|someone|somebody)\b"
)
_ASKS_WHETHER_IT_HELPED = re.compile(r"\b(?:work(?:s|ing|ed)?|help(?:s|ed)?|fixed|solved|better|online)\b[^?.]*\?$")
_ASKS_BACK = re.compile(
    r"^(?:(?:and|but|so|okay|ok|well|sorry|wait|yes|no|um) )*(?:what|what's|when|where|where's|who|how|how's|why|"
    r"which|do|"
    r"does|is|are|can|could|would|will|should|may)\b"
)


@dataclass(frozen=True)
class Walk:
    """How far a caller has got in a guide. `tried`: they have said of the present step that it is done."""

    guide: Guide
    step: int = 0
    tried: bool = False

    @property
    def over(self) -> bool:
        return self.step >= len(self.guide.steps)

    @property
    def asks(self) -> bool:
        """Whether the step is a question with an answer of its own, such as a light's colour."""
        return self._text.endswith("?") and not _ASKS_WHETHER_IT_HELPED.search(_last_sentence(self._text))

    @property
    def words(self) -> str:
        """The whole step as it is said."""
        return self._text if self._text.endswith("?") else f"{self._text} {DID_THAT_HELP}"

    @property
    def question(self) -> str:
        """What the caller still owes: the step, or whether it helped."""
        return DOES_IT_WORK_NOW if self.tried else self.words

    def outcome(self, text: str) -> Outcome | None:
        """Return what an answer to the present step means; None when it is no answer."""
        said = plain(text)
        result = _outcome(said)
        if result is Outcome.BUSY:
            return result
        if _ASKS_BACK.match(said) and not _asks_for_next(said):
            return None
        if not self.asks:
            return result or (Outcome.DONE if self._shares_words(said) else None)
        return Outcome.FIXED if result is Outcome.FIXED and not _ONLY_YES.fullmatch(said) else Outcome.NOT_FIXED

    def outcome_before_question(self, text: str) -> bool:
        """Tell whether a turn that looks like a question is about the step after all: "Red?", "Done. What now?"."""
        return self.outcome(text) in (Outcome.NOT_FIXED, Outcome.FIXED) or _asks_for_next(plain(text))

    @property
    def _text(self) -> str:
        return "" if self.over else self.guide.steps[self.step]

    def _shares_words(self, said: str) -> bool:
        known = {word for step in self.guide.steps for word in plain(step).split() if len(word) > 3}
        return bool(known & set(said.split()))


def _last_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?])\s+", text.strip())[-1].lower()


def _outcome(said: str) -> Outcome | None:
    if _BUSY.search(said):
        return Outcome.BUSY
    if _STILL.search(said):
        return Outcome.NOT_FIXED
    if _FIXED.search(_NEGATED.sub("not", said)) or _ONLY_YES.fullmatch(said):
        return Outcome.FIXED
    if _NOT_FIXED.search(said):
        return Outcome.NOT_FIXED
    return Outcome.DONE if _DONE.search(said) or re.match(rf"{_YES}\b", said) else None


def _asks_for_next(said: str) -> bool:
    return bool(re.search(r"\b(?:next|now|else|then)$", said))


def still_broken(text: str) -> bool:
    """Tell whether a caller who was thought to be helped says that it does not work after all."""
    said = plain(text)
    return bool(_STILL_BROKEN.search(said)) and not re.search(r"\bnot (?:a problem|necessary)\b", said)


def wants_step_again(text: str) -> bool:
    return bool(_SAY_STEP_AGAIN.search(plain(text)))


def leaves(text: str) -> bool:
    """Tell whether a caller says goodbye. "I'm done" and "that's it" are about the step."""
    return bool(_LEAVING.search(plain(text)))


def gives_up(text: str) -> bool:
    return bool(_GIVING_UP.fullmatch(plain(text)))


def wants_technician(text: str) -> bool:
    return bool(_TECHNICIAN.search(plain(text)))


def choose(guides: list[Guide], text: str) -> Guide:
    """Return the guide whose heading has most words in common with what the caller says."""
    return max(guides, key=lambda guide: _shared_words(text, guide.heading))


def _shared_words(text: str, heading: str) -> int:
    return len(set(plain(text).split()) & {word for word in plain(heading).split() if len(word) > 3})
