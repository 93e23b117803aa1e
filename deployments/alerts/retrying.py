"""When a delivery is tried again, and when a target is given up."""

import random
from datetime import timedelta
from typing import Final

#: After each failed try, as Standard Webhooks proposes it; the last of eight comes a day and a half after the first.
PAUSES: Final = tuple(
    timedelta(seconds=seconds) for seconds in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600)
)
#: Each pause is longer by up to so much of it, so that what failed together does not come back together.
JITTER: Final = 0.2
LONGEST_RETRY_AFTER: Final = timedelta(days=1)
#: A target of which every try has failed for so long is switched off.
GIVEN_UP_AFTER: Final = timedelta(days=5)


def next_pause(tries: int, *, retry_after: timedelta | None = None) -> timedelta | None:
    """How long to wait after so many tries; None when they were enough. The receiver may ask for longer."""
    if tries > len(PAUSES):
        return None
    pause = PAUSES[tries - 1] * (1 + random.uniform(0, JITTER))  # noqa: S311 - no secret  # nosec B311
    return pause if retry_after is None else max(pause, min(retry_after, LONGEST_RETRY_AFTER))
