"""Builders for tests: designs in one line.

All builders return the models of `executor.spec`; `executor.document.to_document` makes JSON of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from executor.json_types import JsonObject
from executor.patterns import PATTERNS
from executor.spec import Agent, AgentSettings, Block, BlockConfig, BlockData, Connection, Design, Position, Role


def make_agent(name: str, role: Role = "worker", **fields: Any) -> Agent:
    """An agent whose id is its name in lower case with dashes, unless `id=` says otherwise.

    `settings` may be a dict: `make_agent("Ann", settings={"tries": 1})`.
    """
    fields.setdefault("id", name.lower().replace(" ", "-"))
    if isinstance(fields.get("settings"), dict):
        fields["settings"] = AgentSettings(**fields["settings"])
    return Agent(name=name, role=role, **fields)


def make_block(
    id: str,  # noqa: A002 - the document's own word
    type: str = "sequential",  # noqa: A002
    *,
    agents: Sequence[Agent | str] | None = None,
    config: BlockConfig | Mapping[str, Any] | None = None,
    task: str = "",
    label: str | None = None,
) -> Block:
    """A block. Agents may be given by name alone; left out, there is one, `worker`. The label defaults to the id.

    `config` may be a dict, which is validated by the pattern's own config model.
    """
    chosen = ["worker"] if agents is None else agents
    settings = config if isinstance(config, BlockConfig) else PATTERNS[type].config.model_validate(dict(config or {}))
    data = BlockData(
        label=id if label is None else label,
        task=task,
        agents=tuple(make_agent(agent) if isinstance(agent, str) else agent for agent in chosen),
        config=settings,
    )
    return Block(id=id, type=type, position=Position(), data=data)


def make_connection(
    source: str,
    target: str,
    *,
    source_agent: str | None = None,
    target_agent: str | None = None,
    id: str | None = None,  # noqa: A002
) -> Connection:
    """A connection between two blocks by id; `source_agent` and `target_agent` are agent ids."""
    name = id or f"{source}.{source_agent or ''}-{target}.{target_agent or ''}"
    return Connection(id=name, source=source, target=target, source_agent=source_agent, target_agent=target_agent)


def make_design(
    blocks: Iterable[Block | str],
    connections: Iterable[Connection | tuple[str, str]] = (),
    *,
    input_schema: JsonObject | None = None,
    name: str = "Test design",
) -> Design:
    """A design. Blocks may be given by id alone, connections as `(source, target)`."""
    return Design(
        name=name,
        input_schema=input_schema,
        blocks=tuple(make_block(block) if isinstance(block, str) else block for block in blocks),
        connections=tuple(
            connection if isinstance(connection, Connection) else make_connection(*connection)
            for connection in connections
        ),
    )
