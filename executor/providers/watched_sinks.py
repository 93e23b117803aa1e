"""The caller's sinks, watched: a failure of one is ours and not the provider's."""

from dataclasses import dataclass

from executor.providers.contract import SizeSink, TextSink
from executor.providers.text import clean_text


@dataclass
class WatchedSinks:
    """Hands on what comes, text clean, and remembers if that failed: an SDK may raise an error of its own instead."""

    on_text: TextSink | None
    on_size: SizeSink | None
    failure: Exception | None = None

    @property
    def streams(self) -> bool:
        """Whether the text is wanted as it comes."""
        return self.on_text is not None

    def take(self, piece: str) -> None:
        """A piece of the answer's text."""
        try:
            if self.on_text is not None:
                self.on_text(clean_text(piece))
        except Exception as error:
            self.failure = error
            raise

    def hold(self, size: int) -> None:
        """So many bytes of the answer are held by now."""
        try:
            if self.on_size is not None:
                self.on_size(size)
        except Exception as error:
            self.failure = error
            raise
