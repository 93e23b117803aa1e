"""JSON pointers (RFC 6901): where in a document something is."""

from collections.abc import Iterable


def pointer_to(parts: Iterable[str | int]) -> str:
    """`["a/b", 0]` becomes `/a~1b/0`; no parts, the whole document, is the empty string."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
