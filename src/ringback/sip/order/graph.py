"""A graph of what comes before what, whose weaker edges give way where it contradicts itself."""

import heapq
from collections.abc import Iterator, Sequence

CERTAIN, LIKELY, GUESSED = range(3)
"""How much an edge counts."""


class Graph:
    """Nodes are numbers from 0. The first ones have a rank and are laid in order; others only hold edges together."""

    def __init__(self, size: int) -> None:
        self._next: list[list[tuple[int, int]]] = [[] for _ in range(size)]

    def node(self) -> int:
        self._next.append([])
        return len(self._next) - 1

    def edge(self, before: int, after: int, level: int) -> None:
        if before != after:
            self._next[before].append((after, level))

    def order(self, ranks: Sequence[tuple[int, int]]) -> Iterator[int]:
        """Every ranked node once, lowest rank first as far as the edges let it."""
        for level in (GUESSED, LIKELY, CERTAIN):
            if not self._give_way(level):
                break
        waits = [0] * len(self._next)
        for edges in self._next:
            for after, _ in edges:
                waits[after] += 1
        return self._laid(ranks, waits)

    def _laid(self, ranks: Sequence[tuple[int, int]], waits: list[int]) -> Iterator[int]:
        heap: list[tuple[tuple[int, int], int]] = []
        free = [node for node, n in enumerate(waits) if not n]
        while free or heap:
            while free:
                node = free.pop()
                if node < len(ranks):
                    heapq.heappush(heap, (ranks[node], node))
                else:
                    self._release(node, waits, free)
            if heap:
                _, node = heapq.heappop(heap)
                yield node
                self._release(node, waits, free)

    def _release(self, node: int, waits: list[int], free: list[int]) -> None:
        for after, _ in self._next[node]:
            waits[after] -= 1
            if not waits[after]:
                free.append(after)

    def _give_way(self, level: int) -> bool:
        """Takes the edges of this level out of every circle; whether there was one."""
        circle = self._circles()
        if circle is None:
            return False
        for node, edges in enumerate(self._next):
            if any(circle[after] == circle[node] for after, _ in edges):
                self._next[node] = [edge for edge in edges if edge[1] != level or circle[edge[0]] != circle[node]]
        return True

    def _circles(self) -> list[int] | None:
        """For each node a number that the other nodes of its circles have too; None where there is no circle at all."""
        search = _Search(self._next)
        for node in range(len(self._next)):
            search.walk(node)
        return search.circle if search.is_any else None


class _Search:
    """Tarjan's strongly connected components, without recursion."""

    def __init__(self, edges: Sequence[Sequence[tuple[int, int]]]) -> None:
        self._next = edges
        self._low, self._seen = [0] * len(edges), [-1] * len(edges)
        self._stack: list[int] = []
        self._count = 0
        self.circle = [-1] * len(edges)
        self.is_any = False

    def walk(self, root: int) -> None:
        path = [(root, 0)] if self._seen[root] < 0 else []
        while path:
            node, at = path.pop()
            if not at:
                self._enter(node)
            step = self._step(node, at)
            if step is not None:
                path += [(node, step), (self._next[node][step - 1][0], 0)]
                continue
            self._leave(node)
            if path:
                above = path[-1][0]
                self._low[above] = min(self._low[above], self._low[node])

    def _enter(self, node: int) -> None:
        self._seen[node] = self._low[node] = self._count
        self._count += 1
        self._stack.append(node)

    def _step(self, node: int, at: int) -> int | None:
        """Where to go on after visiting the next node that is new; None when there is none."""
        edges = self._next[node]
        for place in range(at, len(edges)):
            after = edges[place][0]
            if self._seen[after] < 0:
                return place + 1
            if self.circle[after] < 0:
                self._low[node] = min(self._low[node], self._seen[after])
        return None

    def _leave(self, node: int) -> None:
        if self._low[node] < self._seen[node]:
            return
        self.is_any = self.is_any or self._stack[-1] != node
        while self.circle[node] < 0:
            self.circle[self._stack.pop()] = node
