"""Why a stream of live progress ends, as a socket's close code and a sentence. docs/live.md lists them."""

import enum


class Closing(enum.Enum):
    """The codes below 4000 are RFC 6455's; a socket that is refused at once gets 4000 + the status of the refusal."""

    ENDED = 1_000, "That was all."
    TALKATIVE = 1_008, "Nothing is to be sent here. Connect again, with after."
    FAILED = 1_011, "The server failed; its log has the details. Connect again, with after."
    RESTARTING = 1_012, "The server is being restarted. Connect again, with after."
    UNCHECKED = 1_013, "The database does not answer right now. Connect again later, with after."
    NOT_ALLOWED = 4_403, "You may not see this any more."
    TOO_SLOW = 4_408, "What was sent was not read for too long. Connect again, with after."
    SIGNED_OUT = 4_419, "The session or the key that opened this is over. Sign in again."

    def __init__(self, code: int, sentence: str) -> None:
        self.code = code
        self.sentence = sentence
