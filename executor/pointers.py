"""JSON pointers (RFC 6901): where in a document something is."""

from collections.abc import Iterable

#: Names in a document can be as long as the document, and a hundred problems each name their place.
LONGEST_POINTER = 8_000


def pointer_to(parts: Iterable[str | int]) -> str:
    """`["a/b", 0]` becomes `/a~1b/0`; no parts, the whole document, is the empty string.

    A pointer longer than `LONGEST_POINTER` ends at the last place above that can be named.
    """
    pointer = ""
    for part in parts:
        step = "/" + str(part).replace("~", "~0").replace("/", "~1")
        if len(pointer) + len(step) > LONGEST_POINTER:
            break
        pointer += step
    return pointer


def steps_of(pointer: str) -> list[str]:
    """`/a~1b/0` becomes `["a/b", "0"]`."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
