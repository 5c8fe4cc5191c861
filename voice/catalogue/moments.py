"""What many calls ask of the catalogue in the same moment is looked up once.

When a provider goes down, all of its calls look for another model at once, and each has a caller who waits.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial, wraps
from threading import Lock
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# An operator who switches something counts on it for the next call: this is hardly later.
MOMENT_S = 1.0
_KEPT_MAX = 256


@dataclass(slots=True)
class _Look(Generic[T]):
    """One look, and what it finds or raises. `began_at` is on the monotonic clock."""

    answer: "Future[T]" = field(default_factory=Future)
    began_at: float = field(default_factory=time.monotonic)

    @property
    def may_be_shared(self) -> bool:
        """Whether who asks now may be told the same: also before it is known, however long that takes."""
        if not self.answer.done():
            return True
        return self.answer.exception() is None and time.monotonic() - self.began_at < MOMENT_S


def once_a_moment(look: Callable[P, T]) -> Callable[P, T]:
    """Have whoever asks `look` the same within a second be told the same; what it raises it raises for who waits.

    Its arguments are hashable, and nobody changes what it returns. Whoever asks for something else waits for nobody.
    """
    lock, looks = Lock(), dict[object, _Look[T]]()

    @wraps(look)
    def looked_up(*args: P.args, **kwargs: P.kwargs) -> T:
        key = (args, tuple(sorted(kwargs.items())))
        with lock:
            latest = looks.get(key)
            if is_mine := latest is None or not latest.may_be_shared:
                if len(looks) >= _KEPT_MAX:
                    looks.clear()
                latest = looks[key] = _Look[T]()
        if is_mine:
            _look_into(latest.answer, partial(look, *args, **kwargs))
        return latest.answer.result()

    return looked_up


def _look_into(answer: "Future[T]", look: Callable[[], T]) -> None:
    try:
        answer.set_result(look())
    except BaseException as error:
        # Also when the thread is being ended: others wait for it.
        answer.set_exception(error)
