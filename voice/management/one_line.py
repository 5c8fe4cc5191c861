"""What an operator types on a command line for somebody else to read."""

from django.core.management.base import CommandError

# As many as the columns take that such words are kept in.
_LONGEST = 200


def one_line(option: str, text: str) -> str:
    """Return the text of `option`, such as "--note", without the spaces around it. Raises CommandError."""
    text = text.strip()
    if len(text) > _LONGEST or not text.isprintable():
        raise CommandError(f"{option} is one line of at most {_LONGEST} characters.")
    return text
