"""A caller on the line with the receptionist: says a sentence, gets the answer, keeps the whole conversation."""

from datetime import datetime

from local_models.receptionist import reply
from local_models.receptionist.messages import Message, Tool

# A Sunday.
NOW = datetime(2026, 11, 22, 10, 0)


def text(description=""):
    return {"type": "string", "description": description}


def tool(name, properties, *, required=None, description=""):
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties if required is None else required),
    }
    return Tool(name, description, parameters)


BOOK = tool(
    "book_appointment",
    {
        "service": text("What is to be done"),
        "name": text("The caller's name"),
        "address": text("Where to come"),
        "date": {"type": "string", "format": "date"},
        "time": {"type": "string", "format": "time"},
        "phone": text(),
    },
    description="Book an appointment once the caller has confirmed it.",
)
BOOK_BRIEFLY = tool("book_appointment", {"name": text(), "address": text(), "time": text("Day and time")})
CALL_BACK = tool(
    "request_callback", {"name": text(), "phone": text()}, description="Have a person call the caller back."
)
END_CALL = tool("end_call", {}, description="Hang up.")
ALL_TOOLS = (BOOK, CALL_BACK, END_CALL)

DENTIST = """\
You are Ava, the receptionist of Bright Smile Dental. Be friendly and brief. Never give medical advice.
Greeting: Hello, this is Bright Smile Dental. How can I help you today?
Opening hours: Monday to Friday 9am-5pm, Saturday 10am-2pm, closed Sunday.
A cleaning costs $90. Whitening costs $300.
Q: Do you take insurance?
A: Yes, we take most dental insurance plans.
Parking is free behind the building. We are at 12 Oak Avenue.
If asked about emergencies, say that we keep two slots free every morning.
Ask for the caller's name and phone number.
"""
INTERNET = """\
You help customers of Nimbus Internet.
If the internet is slow or down:
1. Unplug the router and wait ten seconds.
2. Plug it in again and wait for the green light.
3. Connect a computer with a cable and try again.
"""


class Telephone:
    """`said` is the receptionist's last text, `call` the function asked for with it, if any."""

    def __init__(self, *tools, instructions=DENTIST, result='{"ok": true}', now=NOW):
        self.tools = list(tools)
        self.now = now
        self.result = result
        self.messages = [Message("system", instructions)]
        self.calls = []
        self.said = ""
        self.call = None
        self._answer()

    def say(self, *sentences):
        for sentence in sentences:
            self.messages.append(Message("user", sentence))
            self._answer()
        return self.said

    def booked(self):
        """The arguments of the last booking."""
        return next(call.arguments for call in reversed(self.calls) if call.name == "book_appointment")

    def _answer(self):
        answer = reply(self.messages, self.tools, "auto", self.now)
        self.said, self.call = answer.text, answer.call
        self.messages.append(Message("assistant", answer.text, (answer.call,) if answer.call else ()))
        if answer.call:
            self.calls.append(answer.call)
            self.messages.append(Message("tool", self.result))
            if answer.call.name != "end_call":
                after = reply(self.messages, self.tools, "auto", self.now)
                self.messages.append(Message("assistant", after.text))
                self.said = after.text


def almost_booked(*tools):
    """A call that has reached the read-back."""
    phone = Telephone(*(tools or ALL_TOOLS))
    phone.say("I'd like to book a dental cleaning.", "My name is Sarah Johnson.", "42 Maple Street")
    phone.say("Tuesday at a quarter past four", "415-555-0134")
    return phone
