"""What a caller means apart from facts: yes, no, again, a person, goodbye, a change, a question."""

import re

from local_models.receptionist.normalise import plain

_YES = re.compile(
    r"\b(?:yes|yeah|yep|yup|yea|yah|ya|sure|correct|right|exactly|absolutely|definitely|of course|"
    r"perfect|sounds (?:good|great|right|fine)|great|"
    r"fine|good|okay|ok|please do|go ahead|that works|works for me|uh huh|mm hmm|mhm|indeed|certainly|"
    r"you got it|confirm|confirmed|book it|do it|"
    r"i do|i would|looks good|all good|that's it|that's me|spot on|alright|why not|no problem|please|"
    r"affirmative|go for it|that's the one|you bet|totally)\b"
)
_NO = re.compile(
    r"^(?:(?:well|oh|actually|sorry|hmm|i think|i'm afraid|wait)\s)*(?:no|nope|nah|know|not|negative|"
    r"incorrect|wrong|never)\b|\bthat's (?:not|wrong|incorrect)\b|\b(?:isn't|not|ain't) (?:right|"
    r"correct|true|it|quite|what)\b|"
    r"\b(?:don't|didn't|doesn't|do not|wrong|incorrect|mistake|rather not|no thanks|no thank you)\b"
)
_NOT_NO = re.compile(
    r"^no,? (?:problem|worries|that's (?:right|correct|fine|good|perfect|great)|you (?:got|have) it "
    r"right|it's (?:right|correct|fine))|\bwhy not\b|\bdon't (?:worry|mind)\b"
)
_REPEAT = re.compile(
    r"\b(?:repeat|say (?:that|it|this) (?:again|one more)|say again|pardon|come again|one more time|"
    r"what did you (?:say|just say)|what was that|what's that again|"
    r"(?:didn't|did not|couldn't|could not|can't|cannot) (?:quite )?(?:catch|hear|get|understand|make "
    r"out)(?: you| that| it| what you said)?|missed (?:that|what you said)|once more|could you say "
    r"that|again please|i beg your pardon|speak up)\b"
    r"|^(?:sorry|excuse me|what|huh|again)$"
)
# "I can't get online", "I couldn't get it out" and "I tried it once more" tell of something else than the line.
_REPEAT_NOT = re.compile(
    r"\b(?:didn't|did not) (?:get|catch) (?:a|an|my|the|any)\b|"
    r"\b(?:can't|cannot|couldn't|could not|didn't|did not) get (?:(?!(?:that|it|you|this|what)\b)\w|"
    r"(?:it|that|this) (?:to|out|in|on|off|back|working|online)\b)|\b(?:tried|restarted|checked|"
    r"did)\b.* (?:once more|one more time)\b"
)
_PERSON = re.compile(
    r"\b(?:speak|talk|connect|transfer|put|get|have|reach|chat)\b[\w\s']{0,30}\b(?:person|human|"
    r"people|someone|somebody|agent|representative|rep|manager|operator|supervisor|staff|owner|"
    r"real)\b(?! (?:to|who|that) (?!(?:talk|speak|call|calls)\b))|"
    r"\b(?:real|actual|live|human) (?:person|human|being|agent|people|operator)\b|\b(?:call|ring|"
    r"phone) (?:me )?back\b|\bcallback\b|\b(?:someone|somebody|anyone) (?:to |can |could |please "
    r")?(?:call|ring|phone) me\b|^(?:agent|operator|representative|human|person)$"
)
_IDENTITY = re.compile(
    r"\bare you (?:a |an |really )?(?:real|human|person|robot|bot|machine|computer|ai|automated|"
    r"recording|live)\b|\bam i (?:talking|speaking) (?:to|with) (?:a|an)\b|\bis this a (?:robot|bot|"
    r"machine|recording|real person)\b"
)
_WHO = re.compile(
    r"\bwho (?:are you|am i (?:speaking|talking)|is this)\b|\bwhat(?:'s| is) your name\b|\bwho's "
    r"(?:this|speaking)\b"
)
_HOW_ARE_YOU = re.compile(
    r"\bhow(?:'s it going| are you| are things| do you do|'s your day| is your day| have you been|'re "
    r"you)\b|\bwhat's up\b"
)
_CAN_YOU_HEAR = re.compile(
    r"\b(?:can|do|could) you (?:still )?hear me\b|\bare you (?:still )?there\b|\banybody there\b|"
    r"^hello hello\b|\bis (?:anyone|anybody|someone) there\b"
)
_WHAT_CAN_YOU_DO = re.compile(
    r"\bwhat (?:can|do) you do(?: here| exactly)?$|\bhow can you help\b|\bwhat can you help\b|\bwhat "
    r"(?:are|services do) you (?:able|for)\b"
)
_GREETING = re.compile(
    r"^(?:hi|hello|hey|good (?:morning|afternoon|evening)|greetings|howdy)(?: (?:there|again|"
    r"everyone))?$"
)
_THANKS = re.compile(
    r"\b(?:thanks|thank you|cheers|appreciate it|much appreciated|that's (?:very )?(?:helpful|kind)|"
    r"great help)\b"
)
_GOODBYE = re.compile(
    r"\b(?:good ?bye|bye|see you|see ya|have a (?:good|nice|great|lovely|wonderful)|that's (?:all|"
    r"everything)|that is (?:all|everything)|that will be all|that'll be all|that's it(?: for)?|i'm "
    r"(?:all )?(?:done|good|set)|"
    r"nothing (?:else|more)|no more questions|hang up|talk to you later|take care|i have to go|gotta "
    r"go|end (?:the )?call|all good thanks|nope that's it)\b"
)
_NOTHING_MORE = re.compile(
    r"^(?:no|nope|nah|know|nothing|not (?:right now|today|really|at the moment)|i'm (?:fine|good|"
    r"okay)|i think (?:that's|we're)|i don't think so|none)\b"
)
_CANCEL = re.compile(
    r"\b(?:never ?mind|forget (?:it|about it|that)|changed my mind|cancel (?:that|it|this|everything|"
    r"the booking|my request)|don't (?:want to )?book|stop (?:the )?booking|start over|start again|"
    r"leave it)\b"
)
_START_OVER = re.compile(r"\bstart (?:over|again)\b|\bfrom the (?:top|beginning|start)\b")
_CHANGE = re.compile(
    r"^(?:no|nope|actually|sorry|wait|oh|hold on|hang on|oops|not)\b|\b(?:actually|instead|change|i "
    r"mean|i meant|make (?:it|that)|correction|wrong|rather|should be|it's really|i said|not quite|"
    r"move it|switch|different|sorry)\b"
)
_UNWILLING = re.compile(
    r"\b(?:i don't (?:know|have (?:one|a|any)|remember|want to (?:say|give|tell))|no idea|not sure|"
    r"i'd rather not|rather not|do i have to|none of your|prefer not|can't remember|haven't got "
    r"(?:one|a))\b"
)
_WAIT = re.compile(
    r"\b(?:wait|hold on|hang on|one (?:moment|second|sec|minute)|just a (?:moment|second|sec|minute)|"
    r"give me a (?:moment|second|sec|minute)|let me (?:check|see|look|think)|bear with me)\b"
)
_AVAILABLE = re.compile(
    r"\b(?:do you have (?:anything|any (?:openings?|availability|slots?|time|space|appointments?))|"
    r"any(?:thing| openings?| availability| slots?)|can (?:i|we|you|someone) (?:come|book|have|get|"
    r"make|do|change|move|see|schedule|switch|send|fit)|could (?:i|we|you|someone|they)|"
    r"how about|what about|would|are you (?:free|available)|is .{0,25}(?:free|available|possible|okay|"
    r"ok|open for)|(?:is|are) there (?:anything|any|a slot|an opening|availability)|can we|shall we|"
    r"may i|could it be)\b"
)
_QUESTION = re.compile(
    r"^(?:(?:and|but|so|ok|okay|well|hi|hello|hey|yes|yeah|sure|great|thanks|thank you|sorry|also|"
    r"quick question|first|before that|good (?:morning|afternoon|evening)|just|no|alright|wait|"
    r"actually|please)\s)*"
    r"(?:what|what's|when|when's|where|where's|who|who's|whose|how|how's|how'd|why|which|do|does|did|"
    r"is|isn't|are|aren't|was|can|can't|could|would|will|should|have|has|may|am|any)\b"
)
_ASKS_ABOUT = re.compile(
    r"\b(?:tell me (?:about|more|what|when|where|how|if|your)|want(?:ed)? to (?:know|ask|find out)|"
    r"like to know|i'm wondering|i was wondering|wondering (?:if|what|when|how|whether)|question "
    r"about|ask about|information (?:on|about)|let me know|curious|do you know|can you tell)\b"
)
_BOOK = re.compile(
    r"\b(?:book|booking|appointment|schedule|reserve|reservation|come in|visit|sign up|set up a|make "
    r"a time|slot)\b"
)
_TROUBLE = re.compile(
    r"\b(?:not working|doesn't work|won't|isn't|can't|cannot|stopped|broken|broke|problem|issue|"
    r"trouble|error|down|slow|fail(?:s|ed|ing)?|stuck|dead|frozen|freezes|keeps|help (?:me )?(?:with|"
    r"fix)|fix|no (?:internet|signal|power|sound|connection)|lost|"
    r"crash(?:es|ed)?|disconnect(?:s|ed|ing)?|drops|leak(?:s|ing)?|doesn't|unable|blinking|flashing|red light)\b"
)
# What a recogniser has made of a lone "Goodbye"; only ever the whole of what was heard.
_MISHEARD_GOODBYE = re.compile(
    r"(?:(?:to|too|two|could|the) (?:buy|bye)|good (?:buy|by|bi|bike|bite)|goodbuy|good buys|(?:bye|buy|"
    r"by)(?: (?:bye|buy|by))+)"
)
_NO_TROUBLE = re.compile(
    r"\b(?:no|not an?|without|any more|more) (?:more |further |other )?(?:problem|issue|trouble|error)s?\b|"
    r"\b(?:necessary|needed)\b|"
    r"\b(?:can't|cannot) (?:think|complain)\b|\bthanks for (?:the|your) help\b"
)

SHORT_WORDS_MAX = 7


def yes_no(text: str) -> bool | None:
    """Return True for a yes, False for a no, None for neither."""
    said = plain(text)
    if not _NOT_NO.search(said) and _NO.search(said):
        return False
    if (match := _YES.search(said)) and (match.start() < 12 or len(said.split()) <= SHORT_WORDS_MAX):
        return True
    return None


def begins_with_yes(text: str) -> bool:
    return bool(
        re.match(r"(?:yes|yeah|yep|yup|correct|that's (?:right|correct)|sure|absolutely|exactly)\b", plain(text))
    )


def wants_repeat(text: str) -> bool:
    said = plain(text)
    return bool(_REPEAT.search(said)) and not _REPEAT_NOT.search(said)


def wants_person(text: str) -> bool:
    said = plain(text)
    return bool(_PERSON.search(said)) and not _IDENTITY.search(said)


def is_goodbye(text: str) -> bool:
    return bool(_GOODBYE.search(plain(text)))


def is_misheard_goodbye(text: str) -> bool:
    """Tell whether the whole turn is what a recogniser makes of a lone farewell, such as "To buy."."""
    return bool(_MISHEARD_GOODBYE.fullmatch(plain(text)))


def wants_nothing_more(text: str) -> bool:
    said = plain(text)
    return bool(_NOTHING_MORE.search(said)) and len(said.split()) <= SHORT_WORDS_MAX


def is_greeting(text: str) -> bool:
    return bool(_GREETING.search(plain(text)))


def is_thanks(text: str) -> bool:
    return bool(_THANKS.search(plain(text)))


def cancels(text: str) -> bool:
    return bool(_CANCEL.search(plain(text)))


def starts_over(text: str) -> bool:
    return bool(_START_OVER.search(plain(text)))


def changes(text: str) -> bool:
    return bool(_CHANGE.search(plain(text)))


def is_unwilling(text: str) -> bool:
    return bool(_UNWILLING.search(plain(text)))


def wants_a_moment(text: str) -> bool:
    said = plain(text)
    return bool(_WAIT.search(said)) and len(said.split()) <= SHORT_WORDS_MAX


def asks_availability(text: str) -> bool:
    return bool(_AVAILABLE.search(plain(text)))


def is_question(text: str) -> bool:
    said = plain(text)
    return text.rstrip().endswith("?") or bool(_QUESTION.search(said)) or bool(_ASKS_ABOUT.search(said))


def wants_booking(text: str) -> bool:
    return bool(_BOOK.search(plain(text)))


def needs_more_help(text: str) -> bool:
    """Tell whether a "no" goes on to name a trouble: "No, the Wi-Fi is slow", but not "No, no problem"."""
    said = plain(text)
    return has_trouble(text) and not _NO_TROUBLE.search(said)


def has_trouble(text: str) -> bool:
    return bool(_TROUBLE.search(plain(text)))


def small_talk(text: str) -> str | None:
    """Return which piece of small talk this is: hear_me, identity, who, how_are_you, abilities, or None."""
    said = plain(text)
    patterns = {
        "hear_me": _CAN_YOU_HEAR,
        "identity": _IDENTITY,
        "who": _WHO,
        "how_are_you": _HOW_ARE_YOU,
        "abilities": _WHAT_CAN_YOU_DO,
    }
    return next((kind for kind, pattern in patterns.items() if pattern.search(said)), None)
