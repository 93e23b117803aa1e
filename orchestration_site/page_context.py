"""What every page's template knows."""

from django.http import HttpRequest

THEMES = ("system", "light", "dark")


def page_context(request: HttpRequest) -> dict[str, object]:
    """The theme that the reader chose, so that the first paint is right."""
    chosen = request.COOKIES.get("theme", "")
    return {"theme": chosen if chosen in THEMES else THEMES[0], "themes": THEMES}
