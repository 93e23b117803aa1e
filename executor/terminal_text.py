"""What others wrote, as a terminal may be given it: characters that command one are shown, and command nothing.

A model could clear the screen otherwise, write over what stood there, or set the window's title.
"""

from typing import Final

#: Without a line's end and a tab. DEL and the control characters of Latin-1 are among them: one of these begins a
#: command as ESC does.
_CONTROLS: Final = [code for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"]
_SHOWN: Final = {code: f"\\x{code:02x}" for code in _CONTROLS}
_IN_JSON: Final = {code: f"\\u{code:04x}" for code in _CONTROLS}


def printable(text: str) -> str:
    """The text with its control characters as `\\x1b`; lines and tabs stay."""
    return text.translate(_SHOWN)


def printable_json(text: str) -> str:
    """The JSON text with the control characters in its strings as `\\u009b`: the same value."""
    return text.translate(_IN_JSON)
