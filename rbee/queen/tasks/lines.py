"""Tasks that wait, in lines: one for each thing that is wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rbee.queen.tasks.fairness import Accounts
from rbee.queen.tasks.wants import Ticket, Want


class Lines:
    """Every ticket is in one line. One that is being tried keeps its turn, but is not decided
    on."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._waiting: dict[Want, dict[str, dict[int, Ticket]]] = {}
        self._trying: dict[Want, dict[int, Ticket]] = {}

    def waiting(self) -> Mapping[Want, Mapping[str, Mapping[int, Ticket]]]:
        """Those that are to be decided on, by what they want and by their keys."""
        return self._waiting

    def tickets(self) -> list[Ticket]:
        """The tickets of those."""
        lines = self._waiting.values()
        return [ticket for line in lines for mine in line.values() for ticket in mine.values()]

    def join(self, ticket: Ticket) -> None:
        """Stand where its turn is, in the line of what it wants."""
        line = self._waiting.setdefault(ticket.want, {})
        mine = line.get(ticket.key, {})
        if mine and ticket.turn < next(reversed(mine)):
            mine = dict(sorted({**mine, ticket.turn: ticket}.items()))
        else:
            mine[ticket.turn] = ticket
        line[ticket.key] = mine

    def go(self, ticket: Ticket) -> None:
        """Try something, without giving up the place."""
        self.leave(ticket)
        self._trying.setdefault(ticket.want, {})[ticket.turn] = ticket

    def leave(self, ticket: Ticket) -> None:
        """Give up the place; a second time does nothing."""
        trying = self._trying.get(ticket.want, {})
        if trying.pop(ticket.turn, None) is not None:
            if not trying:
                del self._trying[ticket.want]
            return
        line = self._waiting.get(ticket.want, {})
        mine = line.get(ticket.key, {})
        if mine.pop(ticket.turn, None) is not None:
            if not mine:
                del line[ticket.key]
            if not line:
                del self._waiting[ticket.want]

    def waits(self, ticket: Ticket) -> bool:
        """Whether it stands in a line, and tries nothing."""
        return ticket.turn in self._waiting.get(ticket.want, {}).get(ticket.key, {})

    def order(self, want: Want) -> Iterator[Ticket]:
        """One line in the order in which it is served."""
        trying = self._trying.get(want, {})
        yield from (trying[turn] for turn in sorted(trying))
        yield from self._accounts.order(self._waiting.get(want, {}))
