"""Turns: jobs that archive the same publisher wait for each other, as a run of a publisher excludes any other."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

__all__ = ["Turns"]


@dataclass(eq=False, frozen=True, slots=True)
class Turn:
    """What somebody asked for; no two are the same, though they may be for the same publishers."""

    publishers: frozenset[str]


class Turns:
    """Whoever came first goes first, and nobody waits for those with whom nothing is shared."""

    def __init__(self) -> None:
        #: What is taken or waited for, in the order in which it was asked for.
        self.asked: list[Turn] = []
        self.changed = asyncio.Condition()

    @asynccontextmanager
    async def of(self, publishers: Iterable[str]) -> AsyncIterator[None]:
        """Hold publishers while the block runs."""
        mine = Turn(frozenset(publishers))
        self.asked.append(mine)
        try:
            async with self.changed:
                await self.changed.wait_for(lambda: self._is_next(mine))
            yield
        finally:
            self.asked.remove(mine)
            async with self.changed:
                self.changed.notify_all()

    def _is_next(self, mine: Turn) -> bool:
        for other in self.asked:
            if other is mine:
                return True
            if other.publishers & mine.publishers:
                return False
        raise AssertionError("nobody waits who has not asked")
