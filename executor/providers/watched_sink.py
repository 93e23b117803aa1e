"""The caller's text sink, watched: a failure of it is ours and not the provider's."""

from dataclasses import dataclass

from executor.providers.contract import TextSink
from executor.providers.text import clean_text


@dataclass
class WatchedSink:
    """Hands pieces on, clean, and remembers if that failed."""

    on_text: TextSink
    failure: Exception | None = None

    def take(self, piece: str) -> None:
        try:
            self.on_text(clean_text(piece))
        except Exception as error:
            self.failure = error
            raise
