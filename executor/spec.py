"""The design document, format 1: frozen data, and nothing in it is ever evaluated.

A pattern's own settings (its `config`) stand in the pattern's module; `executor.document` joins them with these into
one model, discriminated by the block's `type`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny

Role = Literal["manager", "worker", "specialist", "moderator", "reflector"]
Name = Annotated[str, Field(max_length=200)]
Identifier = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.:-]+$")]
ModelName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^:\s]+:\S+$")]
Text = Annotated[str, Field(max_length=200_000)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]

MAX_BLOCKS = 2_000
MAX_CONNECTIONS = 8_000
MAX_AGENTS = 50


class Frozen(BaseModel):
    """Immutable, and an unknown key is refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AgentSettings(Frozen):
    """How one agent's model is called. What is left out is the provider's default."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=200_000)] = 4_096
    timeout_seconds: Seconds = 120
    tries: Annotated[int, Field(ge=1, le=10)] = 3
    fallbacks: tuple[ModelName, ...] = Field(default=(), max_length=5)


class Agent(Frozen):
    """One LLM agent of a block. Without a `model` it runs on the site's default model."""

    id: Identifier
    name: Name
    role: Role = "worker"
    system_prompt: Text = ""
    model: ModelName | None = None
    settings: AgentSettings = AgentSettings()
    output_schema: dict[str, Any] | None = None


class BlockConfig(Frozen):
    """What every pattern's config has: what a failure of the block does, and how long the block may take."""

    on_error: Literal["fail", "continue", "skip"] = Field(
        default="fail",
        description="fail: the execution fails. continue: default_output is delivered. skip: nothing is.",
    )
    default_output: Any = Field(default=None, description="Delivered downstream when on_error is continue.")
    timeout_seconds: Seconds | None = Field(
        default=None, description="The block ends with its best result so far after this many seconds."
    )


class Position(Frozen):
    """Where the canvas shows the block."""

    x: float = 0
    y: float = 0


class BlockData(Frozen):
    """What the block does, who does it, and how."""

    label: Name
    task: Text = ""
    agents: tuple[Agent, ...] = Field(default=(), max_length=MAX_AGENTS)
    config: SerializeAsAny[BlockConfig] = BlockConfig()


class Block(Frozen):
    """A node of the graph: one pattern over some agents."""

    id: Identifier
    type: str
    position: Position = Position()
    data: BlockData

    @property
    def label(self) -> str:
        return self.data.label

    @property
    def agents(self) -> tuple[Agent, ...]:
        return self.data.agents


class Connection(Frozen):
    """An edge of the graph. `source_agent` and `target_agent` are agent ids: its output, its input."""

    id: Identifier
    source: Identifier
    target: Identifier
    source_agent: Identifier | None = None
    target_agent: Identifier | None = None


class Design(Frozen):
    """A whole orchestration design. Build one from JSON with `executor.document.parse_design`."""

    format: Literal[1] = 1
    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: Text = ""
    input_schema: dict[str, Any] | None = None
    blocks: tuple[SerializeAsAny[Block], ...] = Field(default=(), max_length=MAX_BLOCKS)
    connections: tuple[Connection, ...] = Field(default=(), max_length=MAX_CONNECTIONS)
