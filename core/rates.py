"""How a rate is written in a setting: so many in so many seconds."""

import re
from typing import NamedTuple

from core.environment import Environment, stop

_WRITTEN = re.compile(r"([1-9][0-9]{0,11})/([1-9][0-9]{0,5})")


class Rate(NamedTuple):
    amount: int
    seconds: float


def read_rate(env: Environment, name: str, default: str) -> Rate:
    """The setting `amount/seconds`, such as 120/20; anything else ends the start."""
    text = env.text(name, default)
    found = _WRITTEN.fullmatch(text)
    if found is None:
        stop(name, f"{text!r} is not a rate like {default}: so many in so many seconds")
    return Rate(int(found[1]), int(found[2]))
