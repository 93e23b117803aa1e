"""What documents name in backticks, and whether it is there."""

import importlib
import inspect
import re
from collections.abc import Iterator

from orchestration_site.environment import BASE_DIR

CODE = re.compile(r"`([^`]+)`")
TEST = re.compile(r"((?:\w+/)+test_\w+\.py)::(?:Test\w+::)?test_\w+", re.ASCII)
NAME = re.compile(r"((?:\w+/)+\w+\.py)::[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
FILE = re.compile(r"(?:[\w.-]+/)+[\w.-]*", re.ASCII)


def is_there(reference: str) -> bool:
    """Whether `file::name` is a test that pytest collects (in a test file), or a name of that module or class."""
    path, *names = reference.split("::")
    if not (BASE_DIR / path).is_file():
        return False
    owner: object = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    names = [part for name in names for part in name.split(".")]
    for name in names[:-1]:
        owner = getattr(owner, name, None)
    found = getattr(owner, names[-1], None)
    if names[-1].startswith("test_"):
        return inspect.isfunction(found)
    return found is not None or hasattr(owner, names[-1]) or names[-1] in getattr(owner, "__annotations__", {})


def problems_of(text: str) -> Iterator[str]:
    """What stands between backticks and is not there."""
    for span in CODE.findall(text):
        if "::" in span:
            if not (TEST.fullmatch(span) or NAME.fullmatch(span)):
                yield f"{span} is neither file::name nor a test as pytest is told it"
            elif not is_there(span):
                yield f"{span} is not there"
        elif FILE.fullmatch(span) and not (BASE_DIR / span).exists():
            yield f"{span} is no file or folder"
