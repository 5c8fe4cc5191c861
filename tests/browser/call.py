"""A call as its caller makes it: press, speak or type, listen, hang up."""

import base64
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.waiting import wait_until

UTTERANCES = Path(__file__).parents[1] / "data" / "utterances"
# The embedded models on a busy machine: a limit for what hangs, not a promise of speed.
ANSWER_LIMIT_S = 60


class Call:
    def __init__(self, page: Page) -> None:
        self.page = page

    def part(self, role: str):
        return self.page.locator(f"[data-parley-call] [data-role={role}]")

    @property
    def state(self) -> str:
        return self.page.locator("[data-parley-call]").get_attribute("data-state")

    def talk(self) -> None:
        self.part("primary").click()
        self.past_explanation(asked_in="idle")

    def past_explanation(self, *, asked_in: str) -> None:
        """Agree to what is said of the microphone, which goes away by itself where it is allowed already."""
        explanation = self.part("continue")
        wait_until(lambda: explanation.is_visible() or self.state != asked_in)
        explanation.evaluate("button => button.checkVisibility() && button.click()")

    def type_instead(self) -> None:
        self.part("type-instead").click()

    def wait_for(self, *states: str) -> None:
        wait_until(lambda: self.state in states, ANSWER_LIMIT_S, self.seen)

    def seen(self) -> str:
        """What a caller sees of the call, for whoever reads why a test failed."""
        return f"({self.state}): {self.page.locator('[data-parley-call]').inner_text()}"

    def captions(self) -> list[tuple[str, str]]:
        """Return who said what so far, as it stands on the page."""
        return [
            (line.get_attribute("data-speaker"), line.locator(".call__words").inner_text())
            for line in self.part("captions").locator("[data-speaker][data-final=true]").all()
        ]

    def answers(self) -> list[str]:
        return [text for speaker, text in self.captions() if speaker == "agent"]

    def wait_for_answer(self, after: int) -> str:
        """Wait until there are more answers than `after` and the last has been spoken; return it."""
        wait_until(lambda: len(self.answers()) > after, ANSWER_LIMIT_S, self.seen)
        self.wait_for("listening", "ended")
        return self.answers()[-1]

    def say(self, utterance: str) -> str:
        """Speak a recorded sentence and return the answer to it."""
        before = len(self.answers())
        self.speak(utterance)
        return self.wait_for_answer(before)

    def speak(self, utterance: str) -> None:
        speech = base64.b64encode((UTTERANCES / f"{utterance}.wav").read_bytes()).decode()
        self.page.evaluate("speech => microphone.say(speech)", speech)

    def type(self, text: str) -> str:
        """Type a turn and return the answer to it."""
        before = len(self.answers())
        box = self.part("composer").locator("input[name=text]")
        box.fill(text)
        box.press("Enter")
        return self.wait_for_answer(before)

    def hang_up(self) -> None:
        self.part("primary").click()
        self.wait_for("ended")

    def receipt_total(self) -> str:
        return self.part("receipt-total").inner_text()

    def receipt_amounts(self) -> list[str]:
        return self.part("receipt-lines").locator("td.number:last-child").all_inner_texts()
