"""What the operator has given: variables of the process and of `.env`, and the files that hold secrets.

`SECRET_KEY_FILE=/run/secrets/secret_key` gives what the file holds as SECRET_KEY, for every variable that is a secret.
"""

import difflib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource

FILE = "_file"
MAX_FILE_BYTES = 64 * 1024
#: As near as a slip of the fingers; shorter names are near to each other by chance.
NEAR = 0.85
MIN_LETTERS = 6


def given_variables(settings: type[BaseSettings], env_file: Path) -> dict[str, str]:
    """Every variable that has a value, by its name in small letters. Those of the process win."""
    dotenv = DotEnvSettingsSource(settings, env_file=env_file).env_vars
    given = {**dotenv, **EnvSettingsSource(settings).env_vars}
    return {name: value for name, value in given.items() if value}


def read_secret_files(given: Mapping[str, str], secrets: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """What the files hold, by the names of the secrets; and a sentence for each file that cannot be used."""
    contents: dict[str, str] = {}
    problems: list[str] = []
    for name in sorted(secrets):
        if (path := given.get(name + FILE)) is None:
            continue
        # The path is not shown: who takes the variable for the secret's own has put the secret there.
        variable = f"{name}{FILE}".upper()
        if name in given:
            problems.append(f"{variable} cannot be used: {name.upper()} is set as well. Unset one of them.")
            continue
        try:
            contents[name] = _read_secret(Path(path))
        except OSError as error:
            problems.append(f"{variable} cannot be used: the file that it names cannot be read ({error.strerror}).")
        except ValueError as error:
            problems.append(f"{variable} cannot be used: the file that it names {error}.")
    return contents, problems


def _read_secret(path: Path) -> str:
    """The text without the line break at its end. Raises `OSError` or, with the reason, `ValueError`."""
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError("is too large for a secret")
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("holds no text in UTF-8") from None
    if not text.strip():
        raise ValueError("is empty")
    return text


def misspelt_variables(given: Collection[str], fields: Collection[str], secrets: Collection[str]) -> Iterator[str]:
    """A sentence for each variable that nothing reads and that looks like one of ours."""
    ours = {*fields, *(name + FILE for name in secrets), "env_file"}
    for name in sorted(set(given) - ours):
        if (base := name.removesuffix(FILE)) in fields and base != name:
            yield f"{name.upper()} is not read: {base.upper()} is no secret, and takes its value itself."
        elif len(name) >= MIN_LETTERS and (near := difflib.get_close_matches(name, ours, 1, NEAR)):
            yield f"{name.upper()} is set, and nothing reads it. Is {near[0].upper()} meant?"
