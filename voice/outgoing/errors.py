"""Why a request was not made, or its answer not taken."""

_SENTENCES = {
    "address_not_allowed": "This address leads into a private network.",
    "bad_header": "A header holds what no header may hold.",
    "bad_url": "This is not an address of the form https://host/path.",
    "not_https": "The address must begin with https://.",
    "timed_out": "No complete answer came in time.",
    "too_large": "The answer was too long.",
    "too_many_redirects": "The address redirects too often.",
    "unreachable": "The server could not be reached, or its certificate is not valid.",
}


class Refused(Exception):
    """`code` is stable; `sentence` is plain English for the customer. Neither holds anything of the request."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
        self.sentence = _SENTENCES[code]
