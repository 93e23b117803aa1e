"""What addresses of pages say, read without an error: what makes no sense is as if it were not there."""

from uuid import UUID


def uuid_of(text: str) -> UUID | None:
    """The id, or None where the text is none."""
    try:
        return UUID(text)
    except ValueError:
        return None
