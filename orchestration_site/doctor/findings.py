"""What a check finds, and how checks are made one after the other."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

State = Literal["ok", "warning", "fails"]

_CREDENTIALS: Final = re.compile(r"//[^/\s@]*@")
MOST_CHARACTERS: Final = 300


@dataclass(frozen=True)
class Finding:
    """How a part is, in a sentence; `mend` says what to do about it, where there is something to do."""

    state: State
    told: str
    mend: str = ""


@dataclass(frozen=True)
class Check:
    """A part of the installation. `look` returns what it finds, and may raise whatever a client of it raises; `mend`
    is what to do then. Where a part that it `needs` fails, it is not looked at.
    """

    name: str
    look: Callable[[], Finding]
    mend: str
    needs: tuple[str, ...] = ()


def examine(checks: Iterable[Check]) -> Iterator[tuple[str, Finding]]:
    """What each check finds, in order, as soon as it is known. No check ends the others."""
    failed: set[str] = set()
    for check in checks:
        finding = _look(check, failed)
        if finding.state == "fails":
            failed.add(check.name)
        yield check.name, finding


def _look(check: Check, failed: set[str]) -> Finding:
    if missing := [name for name in check.needs if name in failed]:
        return Finding("warning", f"Not looked at: it needs the {missing[0]}.", f"Mend the {missing[0]} first.")
    try:
        return check.look()
    except Exception as error:  # noqa: BLE001 - whatever a part's client raises: that is the finding
        return Finding("fails", f"{type(error).__name__}: {_first_line(error)}", check.mend)


def _first_line(error: Exception) -> str:
    """What the error says, without the credentials of an address in it."""
    said = str(error).strip().partition("\n")[0] or "nothing more is said"
    return _CREDENTIALS.sub("//…@", said)[:MOST_CHARACTERS]
