"""Sample blocks of every pattern, on which the contract of all patterns is tested. A new pattern adds its own here."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from executor.errors import AgentCallFailed, BlockFailed
from executor.patterns.contract import BlockInput, BlockOutcome
from executor.prompts import Delivery
from executor.spec import Agent, Block, Role
from executor.tests.builders import make_agent, make_block

INPUT = BlockInput(shared=(Delivery("Input", {"question": "Which of the plans is best?", "plans": ["a", "b"]}),))


@dataclass(frozen=True)
class Sample:
    """A block, and what its own configuration promises of it.

    `most_calls`: agent calls that the configuration allows, repairs apart. `writers`: the agents whose finished work
    can be returned; as soon as there is some, a ceiling has to end in a result. `fallbacks`: for agents whose
    structured decision may be invalid, each by itself, the decision that records the fallback.
    """

    block: Block
    most_calls: int
    writers: frozenset[str]
    fallbacks: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        return {agent.name for agent in self.block.agents}


def _agent(name: str, role: Role = "worker") -> Agent:
    """Each agent has a model of its name, so that a test can tell whose request it sees."""
    return make_agent(name, role, model=f"scripted:{name}", settings={"tries": 1})


ANN, BOB, CYD = _agent("Ann"), _agent("Bob"), _agent("Cyd")
BOSS, MO = _agent("Boss", "manager"), _agent("Mo", "moderator")
CARL, SUE = _agent("Carl", "reflector"), _agent("Sue", "reflector")
TASK = "Compare the plans."


def _block(pattern: str, *agents: Agent, **config: object) -> Block:
    return make_block("sample", pattern, agents=agents, config=config, task=TASK)


def _names(*agents: Agent) -> frozenset[str]:
    return frozenset(agent.name for agent in agents)


SAMPLES: dict[str, dict[str, Sample]] = {
    "sequential": {
        "chain": Sample(
            _block("sequential", ANN, BOB, CYD, context="all"), most_calls=3, writers=_names(ANN, BOB, CYD)
        ),
    },
    "parallel": {
        "collect": Sample(_block("parallel", ANN, BOB, CYD), most_calls=6, writers=_names(ANN, BOB, CYD)),
        "synthesize": Sample(
            _block("parallel", ANN, BOB, BOSS, aggregate="synthesize"), most_calls=5, writers=_names(ANN, BOB)
        ),
    },
    "hierarchical": {
        # The answers of these tests plan at most 3 assignments a round. Each of them, and of the 2 that must_consult
        # can add, takes at most 3 tries (one retry, one other worker), each judged; then there are 2 plans and the end.
        "must consult": Sample(
            _block("hierarchical", BOSS, ANN, BOB, max_rounds=2, max_retries=1, must_consult=["Bob"]),
            most_calls=(2 * 3 + 2) * 6 + 3,
            writers=_names(ANN, BOB),
            fallbacks={"Boss": "plan-1"},
        ),
    },
    "debate": {
        "vote": Sample(
            _block("debate", ANN, BOB, CYD),
            most_calls=9,
            writers=_names(ANN, BOB, CYD),
            fallbacks={"Ann": "kept/0/ann", "Cyd": "kept/0/cyd"},
        ),
        "moderated": Sample(
            _block("debate", ANN, BOB, MO, rounds=1),
            most_calls=5,
            writers=_names(ANN, BOB),
            fallbacks={"Bob": "kept/0/bob"},
        ),
    },
    "routing": {
        "two of three": Sample(
            _block("routing", MO, ANN, BOB, CYD, default="Cyd", top_k=2, min_confidence=0.1),
            most_calls=3,
            writers=_names(ANN, BOB, CYD),
            fallbacks={"Mo": "route"},
        ),
    },
    "reflection": {
        "two critics": Sample(
            _block("reflection", ANN, CARL, SUE, criteria=["clear", "true"]),
            most_calls=9,
            writers=_names(ANN),
            fallbacks={"Carl": "invalid/0/carl", "Sue": "invalid/0/sue"},
        ),
        "of upstream": Sample(
            _block("reflection", CARL, SUE),
            most_calls=2,
            writers=_names(CARL, SUE),
            fallbacks={"Sue": "invalid/0/sue"},
        ),
    },
}


def leaves(value: object) -> set[object]:
    """Every text in a JSON value."""
    if isinstance(value, dict):
        return set().union(*map(leaves, value.values()))
    if isinstance(value, list):
        return set().union(*map(leaves, value))
    return {value} if isinstance(value, str) else set()


def names_an_agent(error: Exception, sample: Sample) -> bool:
    """Whether a failure says which agent of the block it is about."""
    return isinstance(error, AgentCallFailed | BlockFailed) and error.agent in sample.names


def is_own_work(outcome: BlockOutcome, said: set[object]) -> bool:
    """Whether every text of the result was said by an agent or came in as input: none is canned."""
    given = set().union(*(leaves(delivery.value) for delivery in INPUT.shared))
    return leaves(outcome.output) <= said | given
