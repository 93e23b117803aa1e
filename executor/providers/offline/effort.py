"""What one structured answer of the offline model may cost: schemas are strangers', and it runs beside other calls."""

import json

from executor.json_types import Json
from executor.providers.contract import ModelCallError

MAX_VALUES = 2_000
MAX_CHARACTERS = 1_000_000
#: Parts of the schema that are read, each `allOf` and `$ref` anew wherever it is met.
MAX_STEPS = 6_000


class Effort:
    """Counts down while one answer is composed. Every method raises `ModelCallError` where too little is left."""

    def __init__(self) -> None:
        self._values = MAX_VALUES
        self._characters = MAX_CHARACTERS
        self._steps = MAX_STEPS

    def spend_value(self) -> None:
        self._values -= 1
        _refuse_below_zero(self._values)

    def spend_step(self) -> None:
        self._steps -= 1
        _refuse_below_zero(self._steps)

    def spend_characters(self, count: int) -> None:
        self._characters -= count
        _refuse_below_zero(self._characters)

    def spend_given(self, value: Json) -> None:
        """A value that the schema states itself, as large as it will be in the answer."""
        self.spend_characters(len(json.dumps(value)))


def _refuse_below_zero(left: int) -> None:
    if left < 0:
        message = "The offline model cannot answer in this output schema: it asks for too large an answer. Simplify it."
        raise ModelCallError(message, retryable=False, may_be_charged=False)
