"""`If-Match` (RFC 9110): nobody overwrites what they have not seen."""

import re

from rest_framework.request import Request

from rest.problems import ApiProblem

_TAG = re.compile(r'(W/)?"([^"\x00-\x20\x7f]*)"')
_TAGS = re.compile(rf"\s*{_TAG.pattern}(?:\s*,\s*{_TAG.pattern})*\s*")


def etag(revision: int) -> str:
    """The ETag of a revision: `"7"`."""
    return f'"{revision}"'


def check_if_match(request: Request, revision: int) -> None:
    """Raises the 412 when `If-Match` names other revisions, and the 400 when it names none. Hold the row's lock.

    `*` matches any. A weak tag (`W/"7"`) never matches, as the standard has it.
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return
    if len(header) > 4_000 or not _TAGS.fullmatch(header):
        raise ApiProblem(400, "malformed-if-match", f"Send If-Match as an ETag in quotes, like {etag(revision)}.")
    if any(not weak and tag == str(revision) for weak, tag in _TAG.findall(header)):
        return
    raise ApiProblem(
        412,
        "precondition-failed",
        f"It has changed meanwhile: it is at revision {revision} now. Read it again, and repeat your change on that.",
        headers={"ETag": etag(revision)},
    )
