"""The sample designs that a fresh installation shows: files in `designs/samples/`, checked when they are loaded.

A file is `{"design": <document>, "endpoint_path": "feedback-analysis", "inputs": [{…}, {…}]}`, and where the sample
runs by itself, `"every_seconds": 300`, with its first input.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from executor.document import parse_design, to_document
from executor.json_schema import validate_instance
from executor.json_types import JsonObject
from executor.spec import Design

FOLDER = Path(__file__).parent / "samples"


class BrokenSample(Exception):
    """A sample file is not what it should be. The message names the file and says why."""


@dataclass(frozen=True)
class Sample:
    """A design, the endpoint that it is deployed at, and inputs to try it with."""

    design: Design
    endpoint_path: str
    inputs: tuple[JsonObject, ...]
    every_seconds: int | None = None

    @property
    def document(self) -> JsonObject:
        return to_document(self.design)


def load_samples() -> list[Sample]:
    """All samples, by endpoint path. Raises `BrokenSample`, and `MalformedDesign` for a design that is none."""
    return [_load(path) for path in sorted(FOLDER.glob("*.json"))]


def sample_inputs(document: JsonObject) -> tuple[JsonObject, ...]:
    """The inputs of the sample that this document is, unchanged; none for any other document."""
    return next((sample.inputs for sample in _kept_samples() if sample.document == document), ())


@cache
def _kept_samples() -> list[Sample]:
    return load_samples()


def _load(path: Path) -> Sample:
    content = json.loads(path.read_text(encoding="utf-8"))
    if set(content) - {"every_seconds"} != {"design", "endpoint_path", "inputs"}:
        raise BrokenSample(f"{path.name} has to have design, endpoint_path and inputs, and nothing but every_seconds.")
    inputs, every = tuple(content["inputs"]), content.get("every_seconds")
    sample = Sample(parse_design(content["design"]), content["endpoint_path"], inputs, every)
    if sample.endpoint_path != path.stem:
        raise BrokenSample(f"{path.name} is to be deployed at {sample.endpoint_path}: name them alike.")
    for number, given in enumerate(sample.inputs):
        for problem in validate_instance(sample.design.input_schema or {}, given):
            raise BrokenSample(f"{path.name}, inputs/{number}{problem.pointer}: {problem.message}")
    return sample
