"""The graph of a design's blocks: who feeds whom, what comes before what, and where it goes round in circles."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from executor.spec import Design


@dataclass(frozen=True)
class Graph:
    """Blocks and connections by their indices in the design.

    `incoming` and `outgoing` hold, for each block, its connections in the design's order. A connection whose block
    does not exist is left out of them; with a repeated block id the first block has it.
    """

    sources: tuple[int | None, ...]
    targets: tuple[int | None, ...]
    incoming: tuple[tuple[int, ...], ...]
    outgoing: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, design: Design) -> "Graph":
        indices: dict[str, int] = {}
        for index, block in enumerate(design.blocks):
            indices.setdefault(block.id, index)
        sources = tuple(indices.get(connection.source) for connection in design.connections)
        targets = tuple(indices.get(connection.target) for connection in design.connections)
        incoming: list[list[int]] = [[] for _ in design.blocks]
        outgoing: list[list[int]] = [[] for _ in design.blocks]
        for number, (source, target) in enumerate(zip(sources, targets, strict=True)):
            if source is not None and target is not None:
                outgoing[source].append(number)
                incoming[target].append(number)
        return cls(sources, targets, tuple(map(tuple, incoming)), tuple(map(tuple, outgoing)))

    def successors(self, block: int) -> list[int]:
        return [target for number in self.outgoing[block] if (target := self.targets[number]) is not None]

    def predecessors(self, block: int) -> list[int]:
        return [source for number in self.incoming[block] if (source := self.sources[number]) is not None]

    def sorted_blocks(self) -> list[int]:
        """Each block after all that feed it. Blocks on a cycle, and those after one, are left out."""
        waiting = [len(numbers) for numbers in self.incoming]
        ready = deque(block for block, count in enumerate(waiting) if count == 0)
        order: list[int] = []
        while ready:
            block = ready.popleft()
            order.append(block)
            for target in self.successors(block):
                waiting[target] -= 1
                if waiting[target] == 0:
                    ready.append(target)
        return order

    def ancestors(self, order: Iterable[int]) -> dict[int, int]:
        """All that come before each block of the sorted order, as a set of bits by the blocks' indices."""
        found: dict[int, int] = {}
        for block in order:
            bits = 0
            for source in self.predecessors(block):
                bits |= found[source] | 1 << source
            found[block] = bits
        return found

    def downstream(self, blocks: Iterable[int]) -> frozenset[int]:
        """These blocks, and all that come after any of them."""
        return _reached(blocks, self.successors)

    def upstream(self, blocks: Iterable[int]) -> frozenset[int]:
        """These blocks, and all that come before any of them."""
        return _reached(blocks, self.predecessors)

    def cycles(self) -> list[list[int]]:
        """One short cycle out of each strongly connected component, in order of flow, self-loops left out."""
        return [self._shortest_cycle(component) for component in self._strongly_connected() if len(component) > 1]

    def _shortest_cycle(self, component: set[int]) -> list[int]:
        start = min(component)
        came_from: dict[int, int] = {}
        queue = deque([start])
        while queue:
            block = queue.popleft()
            for target in self.successors(block):
                if target == start and block != start:
                    return _walk_back(came_from, start, block)
                if target in component and target not in came_from and target != start:
                    came_from[target] = block
                    queue.append(target)
        raise AssertionError("Every block of a strongly connected component lies on a cycle.")

    def _strongly_connected(self) -> list[set[int]]:
        """The strongly connected components (Tarjan's algorithm, on a stack of its own: a chain may be 2,000 long)."""
        index: dict[int, int] = {}
        low: dict[int, int] = {}
        open_blocks: list[int] = []
        is_open: set[int] = set()
        components: list[set[int]] = []
        for root in range(len(self.incoming)):
            if root in index:
                continue
            path = [(root, iter(self.successors(root)))]
            index[root] = low[root] = len(index)
            open_blocks.append(root)
            is_open.add(root)
            while path:
                block, targets = path[-1]
                for target in targets:
                    if target not in index:
                        index[target] = low[target] = len(index)
                        open_blocks.append(target)
                        is_open.add(target)
                        path.append((target, iter(self.successors(target))))
                        break
                    if target in is_open:
                        low[block] = min(low[block], index[target])
                else:
                    path.pop()
                    if path:
                        low[path[-1][0]] = min(low[path[-1][0]], low[block])
                    if low[block] == index[block]:
                        components.append(_close(block, open_blocks, is_open))
        return components


def _reached(blocks: Iterable[int], neighbours: Callable[[int], list[int]]) -> frozenset[int]:
    open_blocks = list(blocks)
    reached = set(open_blocks)
    while open_blocks:
        for block in neighbours(open_blocks.pop()):
            if block not in reached:
                reached.add(block)
                open_blocks.append(block)
    return frozenset(reached)


def _close(block: int, open_blocks: list[int], is_open: set[int]) -> set[int]:
    start = len(open_blocks) - 1
    while open_blocks[start] != block:
        start -= 1
    component = set(open_blocks[start:])
    del open_blocks[start:]
    is_open -= component
    return component


def _walk_back(came_from: dict[int, int], start: int, last: int) -> list[int]:
    cycle = [last]
    while cycle[-1] != start:
        cycle.append(came_from[cycle[-1]])
    return cycle[::-1]
