"""Walk fewer interleavings that show the same: partial-order reduction of the walk in walking.py.

**What is left out.** In a state where the next step of one session is *silent* and *independent* of all that the other
sessions may still do, only that step is walked (an ample set of one session). Elsewhere all sessions are.

- Two steps are independent when either order gives the same answers and the same store: reads; steps on two paths;
  two deletions of one path. A listing of the store depends on everything that writes or deletes.
- A step is silent when it changes nothing that a reader, or the check of a state, looks at. Reads are silent. Writing
  or deleting a file is, while nothing in the store names it: neither export.json, nor the metadata of a version from
  the hint on. Steps on the files that name others (export.json, hints, metadata) never are. So that a file cannot be
  named later, what a step names counts as one more access to the files named, which depends on their deletion.
- What a session may still do after the answers it has had is learnt from the walk itself: all steps that were seen
  after these answers, in any order of the others. A step that is learnt late may make an earlier choice wrong; when the
  walk comes to its end, each choice is looked at again, and where it was wrong all sessions are walked from there,
  until no choice is wrong.

**Why nothing is missed.** No walk goes in a circle, since answers only become more. So suppose that the states after
a state are right, and that only the step t of a session was taken there. Let u1 .. uk be steps of others that come
before t in some full walk. Were uk the first that depends on t, then t, u1 .. u(k-1) can be walked too, and since they
gave the same answers, the session of uk asks for uk there. That walk begins with t; it was seen, so uk was learnt,
and t would not have been taken alone. So t can be moved to the front of every full walk: each session gets the same
answers, the store ends the same, and as t is silent each state looks to a reader as one that was walked. A session
that crashes before t is the same as one that crashes after it, for t was silent and nobody depends on it.
(Clarke, Grumberg, Peled: Model Checking, chapter 10, conditions C0 to C3.)

Sessions that have ended alike are one: their answers do not matter any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from lake.walking import BITS, Ended, Session, Step, Walk

Stored = Mapping[str, bytes]
LIST = 1
READ, WRITE, DELETE, NAME = 1, 2, 4, 8  # accesses to one path, each a bit
KINDS = 4
ANYTHING = -1  # every bit


class Naming(Protocol):
    """What the files of a store name."""

    def tells(self, path: str) -> bool:
        """Tell whether what is at this path names others, or is looked at by whoever looks for those."""

    def by_step(self, step: Step, known: Stored) -> frozenset[str] | None:
        """Give the files that a step of this kind names; None: any, as a file that would say it is not known."""

    def in_store(self, stored: Stored) -> frozenset[str]:
        """Give the files that are named in a store."""


class ReducedWalk(Walk):
    """A walk that leaves out orders of steps which nobody can tell apart."""

    def __init__(self, sessions: Sequence[Session], stored: Stored, naming: Naming) -> None:
        self._naming = naming
        self._paths: dict[str, int] = {}
        self._named: dict[int, frozenset[str]] = {}  # in a store
        self._later: dict[tuple[int, int], int] = {}  # what a session may still do after a history
        self._conflicts: dict[tuple[int, int], int] = {}  # what its next step depends on
        self._told: set[tuple[int, int]] = set()
        self._ends: dict[Ended, int] = {}
        self._alone: dict[int, int] = {}  # by state, the session that was sent alone
        super().__init__(sessions, stored)

    def _whose_turn(self, state: int) -> Sequence[int]:
        """Give one session that may go alone, if there is one, else all."""
        everyone = super()._whose_turn(state)
        chosen = next((session for session in everyone if self._may_go_alone(state, session)), None)
        if chosen is None:
            return everyone
        self._alone[state] = chosen
        return (chosen,)

    def _to_walk_again(self) -> list[int]:
        """Give the states in which a session was sent alone by a choice that turned out to be wrong."""
        wrong = [state for state, session in self._alone.items() if not self._may_go_alone(state, session)]
        for state in wrong:
            del self._alone[state]
        return wrong

    def _may_go_alone(self, state: int, session: int) -> bool:
        history = self._history(state, session)
        step = self._step(session, history)
        if isinstance(step, Ended) or not self._is_silent(step, self.number(state)):
            return False
        others = (other for other in range(len(self._sessions)) if other != session)
        depends_on = self._conflicts[session, history]
        return not any(self._later.get((other, self._history(state, other)), 0) & depends_on for other in others)

    def _is_silent(self, step: Step, number: int) -> bool:
        if step.asked in ("read", "sizes"):
            return True
        if self._naming.tells(step.path):
            return False
        if number not in self._named:
            self._named[number] = self._naming.in_store(self._stores[number])
        return step.path not in self._named[number]

    def _after(self, state: int, session: int) -> int | None:
        history = self._history(state, session)
        self._tell_names(state, session, history)
        after = super()._after(state, session)
        if after is None:
            return None
        longer = self._history(after, session)
        end = self._step(session, longer)
        if not isinstance(end, Ended):
            return after
        if end not in self._ends:
            self._ends[end] = len(self._histories)
            self._histories.append((0, None))
        one = self._ends[end]
        self._next[session, one] = end
        return after + ((one - longer) << (BITS * (session + 1)))

    def _tell_names(self, state: int, session: int, history: int) -> None:
        """Add the files that the next step of a session names to what it may do."""
        step = self._step(session, history)
        if isinstance(step, Ended) or not step.data or (session, history) in self._told:
            return
        self._told.add((session, history))
        known = {**self._stores[0], **self.stored(state), **self._known_to(session, history)}
        named = self._naming.by_step(step, known) if self._naming.tells(step.path) else frozenset()
        bits = ANYTHING if named is None else 0
        for path in named or ():
            bits |= NAME << self._place(path)
        self._add(session, history, bits)

    def _known_to(self, session: int, history: int) -> dict[str, bytes]:
        """What a session has written and read."""
        known = {}
        while history:
            history, answer = self._histories[history]
            step = self._step(session, history)
            assert isinstance(step, Step)
            if step.asked == "write":
                known[step.path] = step.data
            if step.asked == "read" and isinstance(answer, bytes):
                known[step.path] = answer
        return known

    def _step(self, session: int, history: int) -> Step | Ended:
        if (session, history) not in self._next:
            step = super()._step(session, history)
            if isinstance(step, Step):
                self._conflicts[session, history], own = self._accesses(step)
                self._add(session, history, own)
        return self._next[session, history]

    def _accesses(self, step: Step) -> tuple[int, int]:
        """What a step depends on, and what it is itself."""
        if step.asked == "sizes":
            return ANYTHING, LIST
        place = self._place(step.path)
        if step.asked == "read":
            return (WRITE | DELETE) << place, READ << place
        if step.asked == "delete":
            return LIST | (READ | WRITE | NAME) << place, DELETE << place
        return LIST | (READ | WRITE | DELETE | NAME) << place, WRITE << place

    def _place(self, path: str) -> int:
        return self._paths.setdefault(path, KINDS * len(self._paths) + LIST)

    def _add(self, session: int, history: int, bits: int) -> None:
        """Add to what a session may still do, after a history and after all that it is longer than."""
        while True:
            before = self._later.get((session, history), 0)
            if bits | before == before and before:
                return
            self._later[session, history] = before | bits
            if not history:
                return
            history = self._histories[history][0]
