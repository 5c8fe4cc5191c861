"""What many calls ask of the catalogue in the same moment is looked up once.

When a provider goes down, all of its calls look for another model at once, and each has a caller who waits.
"""

import time
from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# An operator who switches something counts on it for the next call: this is hardly later.
MOMENT_S = 1.0
_KEPT_MAX = 256


def once_a_moment(look: Callable[P, T]) -> Callable[P, T]:
    """Have whoever asks `look` the same within a second be told the same; what it raises it raises for each.

    Its arguments are hashable, and nobody changes what it returns.
    """
    lock, found = Lock(), dict[object, tuple[float, T]]()

    @wraps(look)
    def looked_up(*args: P.args, **kwargs: P.kwargs) -> T:
        key = (args, tuple(sorted(kwargs.items())))
        # Also while somebody looks: the others are told what they find.
        with lock:
            now = time.monotonic()
            if key in found and found[key][0] > now:
                return found[key][1]
            if len(found) >= _KEPT_MAX:
                found.clear()
            answer = look(*args, **kwargs)
            found[key] = (now + MOMENT_S, answer)
            return answer

    return looked_up
