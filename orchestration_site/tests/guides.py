"""What documents tell to type, and what they show as its output."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from orchestration_site.environment import BASE_DIR

DOCUMENTS = [
    *sorted(BASE_DIR.glob("*.md")),
    *sorted((BASE_DIR / "docs").rglob("*.md")),
]
GUIDES = [BASE_DIR / "docs/tutorial.md", *sorted((BASE_DIR / "docs/howto").glob("*.md"))]
#: A line of code that begins so is for a shell.
TYPED = re.compile(
    r"(?:\$ )?(?:make|docker|git|curl|api|apt|deploy/|\.venv/|for |[A-Z]+=\$\(|python|runuser|systemctl|tar|cp) ?"
)
#: What differs from one time to the next.
ANY = "…"


@dataclass(frozen=True)
class Step:
    """Lines for a shell, and the output that is shown below them; None where none is."""

    typed: str
    shown: str | None = None

    def prints(self, output: str) -> bool:
        """Whether that is the output shown: a line of `…` stands for any lines, one in a line for anything in it."""
        if self.shown is None:
            return True
        lines = ["(?:.*\n)*?" if line == ANY else _line(line) for line in self.shown.splitlines()]
        return re.fullmatch("".join(lines), output.rstrip("\n") + "\n") is not None


def steps_of(document: Path) -> list[Step]:
    """The fenced blocks for a shell, in their order."""
    steps: list[Step] = []
    for kind, code in _code_of(document):
        if kind == "sh":
            steps.append(Step(code))
        elif kind == "text" and steps:
            steps[-1] = Step(steps[-1].typed, code)
    return steps


def code_of(document: Path, kind: str) -> list[str]:
    """The blocks of that kind: of a language, or indented (`""`)."""
    return [code for of_kind, code in _code_of(document) if of_kind == kind]


def typed_lines(document: Path) -> list[str]:
    """Every line of its code that is for a shell, whatever kind of block it stands in."""
    lines = [line.strip() for kind, code in _code_of(document) if kind in ("", "sh") for line in code.splitlines()]
    return [line for line in lines if TYPED.match(line)]


def _code_of(document: Path) -> Iterator[tuple[str, str]]:
    for token in MarkdownIt().parse(document.read_text()):
        if token.type in ("fence", "code_block"):
            yield token.info.strip(), token.content


def _line(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split(ANY)) + "\n"
