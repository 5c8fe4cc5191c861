"""One telephone conversation: a state that every turn moves on, and the wording that goes with it."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import Any

from local_models.receptionist import faq, intents, phrases, troubleshooting
from local_models.receptionist.form import Change, Form
from local_models.receptionist.instructions import Brief
from local_models.receptionist.listening import Heard, listen
from local_models.receptionist.messages import Message, Reply, Tool, ToolCall
from local_models.receptionist.normalise import plain
from local_models.receptionist.results import SPOKEN_RESULT_MAX_CHARS, read_result
from local_models.receptionist.slots import Slot
from local_models.receptionist.tasks import Task, Tasks, match, read_tasks
from local_models.receptionist.troubleshooting import Outcome, Walk

# After this many turns in a row that made no sense, other ways of saying it are offered.
MISSES_BEFORE_HELP = 2
_SHARED_KINDS = {"name", "phone", "email", "address"}


class Expect(Enum):
    """What the caller is expected to say next."""

    OPENING = "anything"
    SLOT = "the answer to a slot's question"
    CONFIRM = "whether the read-back is right"
    CHANGE = "what is wrong with the read-back"
    MORE = "whether there is anything else"
    OFFER = "whether a call back is wanted"
    RESUME = "whether to go on with what was interrupted"
    STEP = "what came of a step"
    RESULT = "nothing: a tool is at work"
    RETRY = "whether to try the tool again"
    ENDED = "nothing: the call is over"


Reaction = Callable[[Heard], Reply | None]


class Conversation:
    """Replays a conversation turn by turn. Each `hear` gives the reply that belongs after that turn."""

    def __init__(self, brief: Brief, tools: list[Tool], now: datetime) -> None:
        self._brief = brief
        self._today = brief.today or now.date()
        self._zone = now.tzinfo
        self._tasks: Tasks = read_tasks(tools)
        self._expect = Expect.OPENING
        self._form: Form | None = None
        self._paused: Form | None = None
        self._done: Form | None = None
        self._asked: Slot | None = None
        self._tries = 0
        self._misses = 0
        # Kept when it seems to have helped, so that it goes on from there if it has not.
        self._walk: Walk | None = None
        self._said = ""
        self._predicted = ""

    def greet(self) -> Reply:
        """Open the conversation with the greeting of the instructions, or one made from the business's name."""
        if self._brief.greeting:
            return self._speak(self._brief.greeting)
        opening = f"Hello, this is {self._brief.business}." if self._brief.business else "Hello!"
        return self._speak(f"{opening} {phrases.HOW_CAN_I_HELP}")

    def hear(self, text: str) -> Reply:
        """Take a turn of the caller and return the answer to it."""
        heard = listen(text, self._today, self._listening_for())
        for react in self._reactions():
            misses = self._misses
            if (reply := react(heard)) is not None:
                self._misses = self._misses if self._misses > misses else 0
                return self._speak(reply.text, reply.call)
        return self._speak(self._missed())

    def note_said(self, message: Message) -> None:
        """Take what was really said before. When it is not what we would have said, find out what it asked."""
        for call in message.calls:
            self._note_call(call)
        said = plain(message.text)
        if not said:
            return
        predicted = plain(self._predicted)
        # An answer the caller interrupted is in the history only as far as it was heard; repeating it means all of it.
        self._said = self._predicted if predicted.startswith(said) else message.text
        if not (predicted.startswith(said) or said.startswith(predicted or "\0")):
            self._infer(message.text)

    def note_result(self, text: str) -> Reply:
        """Take a tool's result and tell the caller."""
        if self._expect is Expect.ENDED:
            return Reply("")
        failed, said = read_result(text)
        if self._form is None:
            self._expect = Expect.MORE
            return self._speak(f"{said} {phrases.ANYTHING_ELSE}".strip())
        return self._speak(self._failed(self._form, said) if failed else self._succeeded(self._form, said))

    def told(self, text: str) -> Reply:
        """Follow a later system message: say what it gives to say, otherwise prompt the caller again."""
        if match := re.search(r"[\"“](.+?)[\"”]", text) or re.search(
            r"\b(?:say|tell (?:the )?caller|speak)[^:]{0,40}:\s*(.+)", text, re.IGNORECASE
        ):
            return self._speak(match.group(1)[:SPOKEN_RESULT_MAX_CHARS])
        return self.nudge()

    def nudge(self) -> Reply:
        """Prompt a caller who has said nothing since the last answer."""
        if self._expect is Expect.ENDED:
            return Reply("")
        return self._speak(f"{phrases.STILL_THERE} {self._question()}".strip())

    def force(self, name: str | None) -> ToolCall | None:
        """Return the call a client insists on, with what is known so far."""
        has_others = bool(self._tasks.ordinary) or self._tasks.callback.tool is not None
        if self._tasks.end_call and (name == self._tasks.end_call or (name is None and not has_others)):
            return ToolCall(self._tasks.end_call, {})
        task = self._tasks.find(name) if name else self._form.task if self._form and self._form.task.tool else None
        task = task or next(iter(self._tasks.ordinary), self._tasks.callback)
        form = self._form if self._form and self._form.task == task else self._new_form(task)
        return ToolCall(task.tool.name, form.arguments(self._zone)) if task.tool else None

    def _reactions(self) -> list[Reaction]:
        return [
            self._nothing_heard,
            self._repeat,
            self._wait,
            self._person,
            self._cancel,
            self._talk_small,
            self._answer_question,
            self._take_step,
            self._resume_steps,
            self._take_details,
            self._confirm,
            self._choose_change,
            self._agree_or_not,
            self._take_answer,
            self._farewell,
            self._unwilling,
            self._begin,
            self._troubleshoot,
            self._do_not_know,
            self._courtesy,
        ]

    def _listening_for(self) -> str | None:
        if self._expect is not Expect.SLOT or self._asked is None or self._form is None:
            return None
        if self._asked.name in self._form.unclear:
            return "spelling"
        return self._asked.kind

    # Reactions, in the order in which they are tried. Each answers a turn that is for it, or returns None.

    def _nothing_heard(self, heard: Heard) -> Reply | None:
        return Reply(self._missed()) if heard.empty and self._count_miss() else None

    def _repeat(self, heard: Heard) -> Reply | None:
        if self._expect is Expect.STEP and self._walk and self._wants_step_again(heard):
            return Reply(self._said if self._walk.words in self._said else self._walk.words)
        if not intents.wants_repeat(heard.text) or heard.spelled:
            return None
        return Reply(self._said or self._question())

    def _wait(self, heard: Heard) -> Reply | None:
        if not intents.wants_a_moment(heard.text) or heard.moment.days or heard.moment.clock or heard.phone:
            return None
        if self._walk and troubleshooting.still_broken(heard.text):
            return None
        return Reply(phrases.TAKE_YOUR_TIME)

    def _person(self, heard: Heard) -> Reply | None:
        if not intents.wants_person(heard.text):
            return None
        if (
            self._form
            and not self._form.task.is_callback
            and self._expect in (Expect.SLOT, Expect.CONFIRM, Expect.CHANGE)
        ):
            self._paused = self._form
        self._start(self._tasks.callback)
        assert self._form is not None
        self._form.fill(heard, None, correcting=False)
        return self._next("Of course. I can have someone call you back.")

    def _cancel(self, heard: Heard) -> Reply | None:
        if self._form is None or not intents.cancels(heard.text) or self._expect is Expect.MORE:
            return None
        task = self._form.task
        if intents.starts_over(heard.text):
            self._start(task, fresh=True)
            return self._next("Of course, let's start again.")
        self._form = None
        self._expect = Expect.MORE
        return Reply(f"No problem, I won't go ahead with the {task.noun}. {phrases.ANYTHING_ELSE}")

    def _talk_small(self, heard: Heard) -> Reply | None:
        kind = intents.small_talk(heard.text)
        if kind is None or self._has_details(heard):
            return None
        who = f"the automated assistant of {self._brief.business}" if self._brief.business else "an automated assistant"
        answers = {
            "hear_me": "Yes, I can hear you.",
            "identity": f"I'm {who}, not a person.",
            "who": f"I'm {who}.",
            "how_are_you": "I'm doing well, thank you for asking.",
            "abilities": self._abilities(),
        }
        return Reply(f"{answers[kind]} {self._question()}")

    def _answer_question(self, heard: Heard) -> Reply | None:
        if (
            not intents.is_question(heard.text)
            or self._expect is Expect.STEP
            and self._walk
            and self._walk.outcome_before_question(heard.text)
        ):
            return None
        task = self._form or self._tasks.ordinary
        asks_when = intents.asks_availability(heard.text) and (
            heard.moment.days or heard.moment.clock or heard.moment.part
        )
        if task and asks_when and not re.search(r"\b(?:open|close[sd]?)\b", plain(heard.text)):
            return None
        answer = faq.answer(heard.text, self._brief, self._today)
        if answer is None:
            return None
        agreed = self._expect is Expect.CONFIRM and intents.begins_with_yes(heard.text)
        if agreed and (reply := self._confirm(heard)):
            return replace(reply, text=f"{answer} {reply.text}")
        return Reply(f"{answer} {self._question(after_answer=True)}")

    def _take_details(self, heard: Heard) -> Reply | None:
        form = self._form_for(heard)
        if form is None:
            return self._meet(heard)
        asked = self._asked if self._expect is Expect.SLOT else None
        correcting = self._expect in (Expect.CONFIRM, Expect.CHANGE, Expect.MORE) or intents.changes(heard.text)
        digits_before, choices_before = form.digits_so_far, form.choices
        changes = form.fill(heard, asked, correcting=correcting)
        unfinished = form.digits_so_far != digits_before or form.choices != choices_before
        if not changes and not unfinished:
            return None
        self._form = form
        return self._next(_acknowledge(changes))

    def _take_step(self, heard: Heard) -> Reply | None:
        if self._expect is not Expect.STEP or self._walk is None:
            return None
        if troubleshooting.leaves(heard.text) or self._misheard_goodbye(heard):
            return None
        if reply := self._leave_steps(heard):
            return reply
        if self._is_courtesy(heard) or (self._tasks.ordinary and intents.wants_booking(heard.text)):
            return None
        outcome = self._walk.outcome(heard.text)
        if outcome is Outcome.FIXED:
            self._expect = Expect.MORE
            return Reply(f"Great, I'm glad that helped. {phrases.ANYTHING_ELSE}")
        if outcome is Outcome.BUSY:
            return Reply(phrases.TAKE_YOUR_TIME)
        if outcome is Outcome.NOT_FIXED or (outcome is Outcome.DONE and self._walk.tried):
            return self._next_step(self._walk)
        if outcome is Outcome.DONE:
            self._walk = replace(self._walk, tried=True)
            return Reply(phrases.DID_THAT_HELP)
        return None

    def _leave_steps(self, heard: Heard) -> Reply | None:
        """Start the steps over, give them up or have a technician call, when that is what the caller wants."""
        assert self._walk is not None
        if intents.starts_over(heard.text) and not intents.is_question(heard.text):
            self._walk = Walk(self._walk.guide)
            return Reply(f"Of course, let's start again. {self._walk.words}")
        if troubleshooting.gives_up(heard.text):
            self._expect = Expect.MORE
            return Reply(f"No problem. {phrases.ANYTHING_ELSE}")
        if troubleshooting.wants_technician(heard.text):
            self._start(self._tasks.callback)
            return self._next("Of course. I can have a technician call you back.")
        return None

    def _wants_step_again(self, heard: Heard) -> bool:
        return intents.wants_repeat(heard.text) or troubleshooting.wants_step_again(heard.text)

    def _is_courtesy(self, heard: Heard) -> bool:
        said = plain(heard.text)
        return intents.is_greeting(said) or said in ("thanks", "thank you", "cheers")

    def _resume_steps(self, heard: Heard) -> Reply | None:
        """Go on with the steps when what seemed to be over is not."""
        if self._expect not in (Expect.MORE, Expect.OFFER) or not self._brief.guides:
            return None
        if not troubleshooting.still_broken(heard.text) or intents.begins_with_yes(heard.text):
            return None
        walk = self._walk
        if walk is None or troubleshooting.choose([walk.guide, *self._brief.guides], heard.text) is not walk.guide:
            return self._troubleshoot(heard)
        reply = self._next_step(walk)
        return reply if self._walk and self._walk.over else replace(reply, text=f"I'm sorry. Let's go on. {reply.text}")

    def _confirm(self, heard: Heard) -> Reply | None:
        if self._expect not in (Expect.CONFIRM, Expect.RESULT, Expect.RETRY) or self._form is None:
            return None
        said = intents.yes_no(heard.text)
        leaving = self._says_goodbye(heard) and not intents.begins_with_yes(heard.text)
        if said is True and not leaving:
            return self._carry_out(self._form)
        if leaving and self._expect is Expect.CONFIRM:
            return Reply(f"Just before you go: shall I go ahead with the {self._form.task.noun}? Please say yes or no.")
        if said is False and self._expect is Expect.RETRY:
            self._form, self._expect = None, Expect.MORE
            return Reply(f"All right. {phrases.ANYTHING_ELSE}")
        if said is False:
            return self._ask_again(self._form.mentioned(heard.text))
        if slot := self._form.mentioned(heard.text) if intents.changes(heard.text) else None:
            return self._ask_again(slot)
        return None

    def _choose_change(self, heard: Heard) -> Reply | None:
        if self._form is None:
            return None
        slot = self._form.mentioned(heard.text)
        if self._expect is Expect.CHANGE:
            if slot:
                return self._ask_again(slot)
            return self._next("All right.") if intents.yes_no(heard.text) is False else None
        wants_change = re.search(r"\b(?:change|wrong|correct|fix|redo)\b", plain(heard.text))
        return self._ask_again(slot) if slot and wants_change and slot.name in self._form.values else None

    def _agree_or_not(self, heard: Heard) -> Reply | None:
        said = intents.yes_no(heard.text)
        if said is None or len(plain(heard.text).split()) > intents.SHORT_WORDS_MAX:
            return None
        if self._expect is Expect.OFFER:
            return self._after_offer(said)
        if self._expect is Expect.RESUME:
            return self._after_pause(said)
        if self._expect is Expect.MORE and said and not intents.is_thanks(heard.text):
            return None if self._says_goodbye(heard) else Reply("Of course. What can I do for you?")
        if self._expect is Expect.OPENING and said and self._tasks.ordinary and "?" in self._said:
            if self._misheard_goodbye(heard):
                return None
            self._start(self._tasks.ordinary[0])
            return self._next("Great.")
        return None

    def _take_answer(self, heard: Heard) -> Reply | None:
        if self._expect is not Expect.SLOT or self._form is None or self._asked is None:
            return None
        if self._says_goodbye(heard) or intents.is_unwilling(heard.text):
            return None
        if (
            self._asked.kind not in ("boolean", "wish", "text", "list")
            and intents.is_question(heard.text)
            and not self._has_details(heard)
        ):
            return None
        if intents.has_trouble(heard.text) and self._asked.kind in ("name", "address"):
            return None
        changes = self._form.answer(heard, self._asked, self._today)
        return self._next(_acknowledge(changes)) if changes else None

    def _farewell(self, heard: Heard) -> Reply | None:
        leaving = self._says_goodbye(heard)
        if self._expect is Expect.MORE:
            needs_steps = self._brief.guides and intents.needs_more_help(heard.text)
            leaving = (
                leaving
                or (intents.wants_nothing_more(heard.text) and not needs_steps)
                or (intents.is_thanks(heard.text) and intents.yes_no(heard.text) is False)
            )
        if self._expect is Expect.ENDED:
            return self._hang_up("Goodbye!")
        if not leaving:
            return None
        if self._form and self._expect in (Expect.SLOT, Expect.CHANGE):
            return self._hang_up(f"All right. The {self._form.task.noun} has not been made. {phrases.GOODBYE}")
        return self._hang_up(phrases.GOODBYE)

    def _says_goodbye(self, heard: Heard) -> bool:
        return intents.is_goodbye(heard.text) or self._misheard_goodbye(heard)

    def _misheard_goodbye(self, heard: Heard) -> bool:
        asked = self._asked.kind if self._expect is Expect.SLOT and self._asked else None
        # "To buy" is a good answer to "What do you need?".
        return intents.is_misheard_goodbye(heard.text) and asked not in ("choice", "wish", "text", "list")

    def _unwilling(self, heard: Heard) -> Reply | None:
        if (
            self._expect is not Expect.SLOT
            or self._form is None
            or self._asked is None
            or not intents.is_unwilling(heard.text)
        ):
            return None
        noun = self._form.task.noun
        return Reply(
            f"I need the {self._asked.label} for the {noun}. If you'd rather stop, just say never mind. {self._ask()}"
        )

    def _begin(self, heard: Heard) -> Reply | None:
        if self._expect in (Expect.SLOT, Expect.CONFIRM, Expect.CHANGE, Expect.STEP):
            return None
        task = match(heard.text, self._tasks)
        if task is None and self._tasks.ordinary and intents.wants_booking(heard.text):
            task = self._tasks.ordinary[0]
        if task is None:
            return self._cannot_book() if intents.wants_booking(heard.text) else None
        self._start(task)
        assert self._form is not None
        self._form.fill(heard, None, correcting=False)
        return self._next("Sure, I can help with that.")

    def _troubleshoot(self, heard: Heard) -> Reply | None:
        if not self._brief.guides or self._expect in (Expect.SLOT, Expect.CONFIRM, Expect.CHANGE, Expect.STEP):
            return None
        if not intents.has_trouble(heard.text) and not heard.wish:
            return None
        self._walk, self._expect = Walk(troubleshooting.choose(self._brief.guides, heard.text)), Expect.STEP
        return Reply(f"I'm sorry to hear that. Let's go through it together. {self._walk.words}")

    def _do_not_know(self, heard: Heard) -> Reply | None:
        if not intents.is_question(heard.text) or len(plain(heard.text).split()) < 3:
            return None
        sorry = "I'm sorry, I don't have that information."
        if self._expect in (Expect.SLOT, Expect.CONFIRM, Expect.CHANGE, Expect.STEP):
            return Reply(f"{sorry} {self._question()}")
        self._expect = Expect.OFFER
        return Reply(f"{sorry} Would you like someone to call you back about it?")

    def _courtesy(self, heard: Heard) -> Reply | None:
        if intents.is_thanks(heard.text):
            return Reply(f"You're welcome. {self._question(after_answer=True)}")
        if intents.is_greeting(heard.text):
            return Reply(f"Hello! {self._question()}")
        if self._expect is Expect.CONFIRM:
            return Reply(phrases.YES_OR_NO) if self._count_miss() else None
        return None

    # Moving on.

    def _form_for(self, heard: Heard) -> Form | None:
        """Return the form a turn's details belong to, starting or reopening one when the turn asks for it."""
        if self._form:
            return self._form
        if self._done and self._expect is Expect.MORE and intents.changes(heard.text) and not self._begins_anew(heard):
            return self._done
        if not self._tasks.ordinary or not self._has_details(heard):
            return None
        task = match(heard.text, self._tasks) or self._tasks.ordinary[0]
        if intents.is_question(heard.text) and not self._asks_for_service(heard):
            return None
        return self._new_form(task)

    def _begins_anew(self, heard: Heard) -> bool:
        return bool(re.search(r"\b(?:another|second|also|new)\b", plain(heard.text)))

    def _asks_for_service(self, heard: Heard) -> bool:
        return (
            intents.asks_availability(heard.text)
            or intents.wants_booking(heard.text)
            or bool(heard.phone or heard.address or heard.name)
        )

    def _has_details(self, heard: Heard) -> bool:
        found = (heard.name, heard.phone, heard.email, heard.address, heard.wish, heard.moment.clock)
        return any(found) or bool(heard.moment.days or heard.moment.choices)

    def _meet(self, heard: Heard) -> Reply | None:
        """Answer a caller who only says who they are."""
        if heard.name is None or heard.wish or intents.wants_booking(heard.text) or intents.has_trouble(heard.text):
            return None
        if self._expect not in (Expect.OPENING, Expect.MORE) or intents.is_question(heard.text):
            return None
        return Reply(f"Nice to meet you, {heard.name.text.split()[0]}. {phrases.HOW_CAN_I_HELP}")

    def _new_form(self, task: Task) -> Form:
        """Start a form with what is known of the caller from earlier ones."""
        form = Form(task)
        for earlier in (self._form, self._done, self._paused):
            for slot in earlier.task.slots if earlier else ():
                if slot.kind in _SHARED_KINDS and earlier and earlier.known(slot):
                    _share(form, slot, earlier.values[slot.name])
        return form

    def _start(self, task: Task, *, fresh: bool = False) -> None:
        self._form = Form(task) if fresh else self._new_form(task)
        self._asked = None

    def _next(self, acknowledgement: str) -> Reply:
        """Ask for what is missing, or read everything back."""
        assert self._form is not None
        slot = self._form.missing()
        if slot is not None:
            self._tries = self._tries + 1 if slot == self._asked and self._expect is Expect.SLOT else 0
            self._asked, self._expect = slot, Expect.SLOT
            return Reply(f"{acknowledgement} {self._ask()}".strip())
        self._asked = None
        if not self._form.values:
            return self._carry_out(self._form)
        self._expect = Expect.CONFIRM
        return Reply(f"{acknowledgement} {self._form.read_back()}".strip())

    def _ask(self) -> str:
        assert self._form is not None and self._asked is not None
        return self._form.ask(self._asked, self._tries)

    def _ask_again(self, slot: Slot | None) -> Reply:
        """Ask for a slot the caller wants changed, or which one that is."""
        assert self._form is not None
        if slot is None:
            self._expect = Expect.CHANGE
            return Reply(phrases.WHAT_TO_CHANGE)
        self._form.forget(slot)
        self._asked, self._expect, self._tries = slot, Expect.SLOT, 1
        return Reply(f"Okay, let's correct the {slot.label}. {self._ask()}")

    def _carry_out(self, form: Form) -> Reply:
        if form.task.tool is None:
            return Reply(self._succeeded(form, ""))
        self._expect = Expect.RESULT
        return Reply(phrases.ONE_MOMENT, ToolCall(form.task.tool.name, form.arguments(self._zone)))

    def _note_call(self, call: ToolCall) -> None:
        if call.name == self._tasks.end_call:
            self._expect = Expect.ENDED
            return
        task = self._tasks.find(call.name)
        if task is None:
            return
        if self._form is None or self._form.task != task:
            self._start(task)
        assert self._form is not None
        for slot in task.slots:
            if slot.name not in self._form.values and isinstance(call.arguments.get(slot.name), str):
                self._form.values[slot.name] = call.arguments[slot.name]
        self._expect = Expect.RESULT

    def _succeeded(self, form: Form, said: str) -> str:
        self._done, self._form, self._asked = form, None, None
        done = said or _done_sentence(form)
        if form.task.is_callback and self._paused:
            self._form, self._paused = self._paused, None
            self._expect = Expect.RESUME
            return f"{done} Shall we go on with the {self._form.task.noun}?"
        self._expect = Expect.MORE
        return f"{done} {phrases.ANYTHING_ELSE}"

    def _failed(self, form: Form, said: str) -> str:
        sorry = f"I'm sorry, that didn't work. {said}".strip()
        when = next((slot for slot in form.task.slots if slot.kind in ("datetime", "time")), None)
        if when is None:
            self._expect = Expect.RETRY
            return f"{sorry} Shall I try again?"
        form.forget(when)
        self._asked, self._expect, self._tries = when, Expect.SLOT, 0
        return f"{sorry} What other {'day and time' if when.kind == 'datetime' else 'time'} would suit you?"

    def _next_step(self, walk: Walk) -> Reply:
        self._walk = Walk(walk.guide, min(walk.step + 1, len(walk.guide.steps)))
        if self._walk.over:
            self._expect = Expect.OFFER
            return Reply(f"I'm sorry, that was the last thing we could try here. {phrases.TECHNICIAN_OFFER}")
        self._expect = Expect.STEP
        return Reply(self._walk.words)

    def _after_offer(self, yes: bool) -> Reply:
        if not yes:
            self._expect = Expect.MORE
            return Reply(f"All right. {phrases.ANYTHING_ELSE}")
        self._start(self._tasks.callback)
        return self._next("Of course.")

    def _after_pause(self, yes: bool) -> Reply:
        if yes and self._form:
            return self._next("Good.")
        self._form, self._expect = None, Expect.MORE
        return Reply(f"All right. {phrases.ANYTHING_ELSE}")

    def _cannot_book(self) -> Reply:
        self._expect = Expect.OFFER
        return Reply("I'm sorry, I can't make bookings here. Would you like someone to call you back about it?")

    def _hang_up(self, words: str) -> Reply:
        self._expect = Expect.ENDED
        return Reply(words, ToolCall(self._tasks.end_call, {}) if self._tasks.end_call else None)

    # Wording that depends on the state.

    def _question(self, *, after_answer: bool = False) -> str:
        """Return the question the caller still owes an answer to."""
        if self._expect is Expect.SLOT and self._form and self._asked:
            return self._ask()
        if self._expect is Expect.CONFIRM and self._form:
            return self._form.read_back()
        fixed = {
            Expect.CHANGE: phrases.WHAT_TO_CHANGE,
            Expect.STEP: self._walk.question if self._walk else phrases.DID_THAT_HELP,
            Expect.OFFER: phrases.TECHNICIAN_OFFER if self._walk and self._walk.over else phrases.CALL_BACK_OFFER,
            Expect.RETRY: "Shall I try again?",
            Expect.RESULT: "",
        }
        if self._expect in fixed:
            return fixed[self._expect]
        if self._expect is Expect.RESUME and self._form:
            return f"Shall we go on with the {self._form.task.noun}?"
        if after_answer or self._expect is Expect.MORE:
            self._expect = Expect.MORE
            return phrases.ANYTHING_ELSE
        return phrases.HOW_CAN_I_HELP

    def _missed(self) -> str:
        if self._misses == 0:
            self._count_miss()
        sorry = phrases.not_understood(self._misses)
        self._tries += 1
        question = self._question()
        help_offered = f" {phrases.SPELL_OR_TYPE}" if self._misses >= MISSES_BEFORE_HELP else ""
        return f"{sorry} {question}{help_offered}"

    def _count_miss(self) -> bool:
        self._misses += 1
        return True

    def _abilities(self) -> str:
        nouns = [task.noun for task in self._tasks.ordinary]
        offers = [f"help you with your {noun}" for noun in dict.fromkeys(nouns)]
        offers += ["answer questions"] if self._brief.facts else []
        offers += ["go through some steps with you"] if self._brief.guides else []
        offers += ["take your number for a call back"]
        return f"I can {phrases.join(offers, 'or')}."

    def _speak(self, text: str, call: ToolCall | None = None) -> Reply:
        self._said = self._predicted = " ".join(text.split())
        return Reply(self._said, call)

    def _infer(self, said: str) -> None:
        """Find out what somebody else's question asked for, so that the answer to it is understood."""
        questions = re.findall(r"[^.!?]*\?", said)
        question = plain(questions[-1] if questions else said)
        if re.search(
            r"\b(?:is that|are those|is everything|does that) (?:all )?(?:right|correct|sound|look)|\bshall i "
            r"(?:go ahead|book)\b",
            question,
        ):
            self._expect = Expect.CONFIRM if self._form else self._expect
        elif "anything else" in question:
            self._expect = Expect.MORE
        elif walk := self._walk_at(said):
            self._walk, self._expect = walk, Expect.STEP
        else:
            self._infer_slot(question)

    def _infer_slot(self, question: str) -> None:
        if self._form is None and self._tasks.ordinary:
            form = self._new_form(self._tasks.ordinary[0])
            if form.mentioned(question) and re.search(r"\b(?:your|may|what|when|which|could)\b", question):
                self._form = form
        slot = self._form.mentioned(question) if self._form else None
        if slot and self._form:
            self._asked, self._expect, self._tries = slot, Expect.SLOT, 0

    def _walk_at(self, said: str) -> Walk | None:
        """Return the walk that is at the step somebody else has just said."""
        walks = (Walk(guide, step) for guide in self._brief.guides for step in range(len(guide.steps)))
        return next((walk for walk in walks if plain(walk.guide.steps[walk.step]) in plain(said)), None)


def _share(form: Form, known: Slot, value: Any) -> None:
    fitting = [slot for slot in form.task.slots if slot.kind == known.kind and slot.name not in form.values]
    if len(fitting) == 1:
        form.values[fitting[0].name] = value


def _acknowledge(changes: list[Change]) -> str:
    """Repeat briefly what was just understood, so that a mistake is noticed at once."""
    if not changes:
        return ""
    if len(changes) > 2:
        return "Okay, I've got that."
    said = [change.shown for change in changes if change.shown and change.slot.kind != "wish"]
    if any(change.correction for change in changes):
        return f"Okay, {phrases.join(said)}." if said else "Okay."
    if len(changes) == 1 and changes[0].slot.kind == "name":
        return f"Thanks, {changes[0].shown.split()[0]}."
    when = [change for change in changes if change.slot.kind in ("date", "time")]
    return f"{phrases.join(said, 'at' if len(when) == len(changes) == 2 else 'and')}, okay." if said else "Okay."


def _done_sentence(form: Form) -> str:
    if form.task.is_callback:
        number = next((form.shown(slot) for slot in form.task.slots if slot.kind == "phone" and form.known(slot)), None)
        return f"Thank you. I've noted that you'd like a call back{f' on {number}' if number else ''}."
    when = [
        form.shown(slot) for slot in form.task.slots if slot.kind in ("datetime", "date", "time") and form.known(slot)
    ]
    for_when = f" for {' at '.join(when)}" if when else ""
    return f"You're all set: your {form.task.noun} is noted{for_when}."
