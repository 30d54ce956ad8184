"""Walk all interleavings of sessions that work on one lake in memory, step by step, with the real code of each.

A step is one operation of the store. A session is a function of the answers that it has got so far: its code runs in a
thread up to the point where it asks for the next one. A thread cannot go back, so for another answer to an earlier step
the code is run again, with the answers up to there. A state is the content of the store and, for each session, its
answers; a state that was seen is not walked twice. A crash needs no step of its own: a session that crashed is one that
takes no further step, and every state is looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import datetime, tzinfo
from pathlib import Path
from queue import SimpleQueue
from threading import Thread, local
from typing import Any, NamedTuple
from unittest.mock import patch

from dwh.lake.iceberg.store import Adopted, Store
from dwh.terminal.errors import DwhError

Session = Callable[[Store], object]
NOT_THERE = "not there"
MOST_THREADS = 200  # that wait, each at the end of a history
BITS = 20  # of each part of a state
MASK = (1 << BITS) - 1
BEGIN = datetime(2018, 12, 1)  # the only time that the sessions see


class Step(NamedTuple):
    """One operation of the store: what is asked, of which path, and what is given with it."""

    asked: str
    path: str = ""
    data: bytes = b""
    tag: str = ""


class Ended(NamedTuple):
    """How a session came to its end: the kind of its error, or '', and what it says."""

    kind: str
    said: str = ""


class _GivenUp(BaseException):
    """Raised in a session whose thread is not needed any more."""


class _Running:
    """A session in a thread of its own, that waits for the answer to its step."""

    location = "s3://lake"

    def __init__(self, session: Session, number: int) -> None:
        self._answers: SimpleQueue[object] = SimpleQueue()
        self._steps: SimpleQueue[Step | Ended] = SimpleQueue()
        self._thread = Thread(target=self._run, args=(session, number), daemon=True)
        self._thread.start()
        self.step = self._steps.get()

    def go_on(self, answer: object) -> None:
        """Give the answer, and wait for the next step."""
        self._answers.put(answer)
        self.step = self._steps.get()

    def give_up(self) -> None:
        if not isinstance(self.step, Ended):
            self._answers.put(_GivenUp)
        self._thread.join()

    def _run(self, session: Session, number: int) -> None:
        _own.session, _own.made = number, 0
        try:
            session(self)
        except _GivenUp:
            return
        except DwhError as error:
            self._steps.put(Ended(type(error).__name__, error.message))
        except BaseException as error:  # noqa: BLE001  # told as the end of the session
            self._steps.put(Ended("bug", repr(error)))
        else:
            self._steps.put(Ended(""))

    def _ask(self, step: Step) -> Any:
        self._steps.put(step)
        answer = self._answers.get()
        if answer is _GivenUp:
            raise _GivenUp
        return answer

    def is_here(self, location: str) -> bool:
        return location == self.location

    def held(self) -> AbstractContextManager[None]:
        return nullcontext()

    def sizes(self) -> dict[str, int]:
        return dict(self._ask(Step("sizes")))

    def read(self, path: str) -> tuple[bytes, str]:
        answer = self._ask(Step("read", path))
        if answer == NOT_THERE:
            raise FileNotFoundError(path)
        return answer, tag_of(answer)

    def write(self, path: str, data: bytes) -> None:
        self._ask(Step("write", path, data))

    def create(self, path: str, data: bytes) -> bool:
        return bool(self._ask(Step("create", path, data)))

    def replace(self, path: str, data: bytes, tag: str) -> bool:
        return bool(self._ask(Step("replace", path, data, tag)))

    def delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._ask(Step("delete", path))

    def workspace(self, table: str) -> AbstractContextManager[str]:
        raise NotImplementedError

    def adopt(self, path: str, workspace: str) -> Adopted:
        raise NotImplementedError

    def fetch(self, path: str, folder: Path) -> Path:
        raise NotImplementedError


def take(step: Step, stored: Mapping[str, bytes]) -> tuple[object, Mapping[str, bytes]]:
    """Take a step: the answer, and what is stored then."""
    if step.asked == "sizes":
        return tuple(sorted((path, len(data)) for path, data in stored.items())), stored
    found = stored.get(step.path)
    if step.asked == "read":
        return NOT_THERE if found is None else found, stored
    if step.asked == "create" and found is not None:
        return found == step.data, stored
    if step.asked == "replace" and (tag_of(found) if found is not None else "") != step.tag:
        return False, stored
    left = {path: data for path, data in stored.items() if path != step.path}
    return True, left if step.asked == "delete" else {**left, step.path: step.data}


def tag_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Walk:
    """All states that can be reached from a store by some sessions.

    A state is a whole number, made of the number of the store's content and, for each session, the number of its
    answers: millions of them have to be remembered."""

    def __init__(self, sessions: Sequence[Session], stored: Mapping[str, bytes]) -> None:
        self._sessions = sessions
        self._numbers: dict[object, int] = {}
        self._stores: list[Mapping[str, bytes]] = []
        self._histories: list[tuple[int, object]] = [(0, None)]  # the one before, and one answer more
        self._longer: dict[tuple[int, object], int] = {}
        self._next: dict[tuple[int, int], Step | Ended] = {}
        self._taken: dict[tuple[int, int, int], tuple[int, int]] = {}
        self._threads: dict[tuple[int, int], _Running] = {}  # those that wait at the end of a history
        self.first = self._store(stored)

    def stored(self, state: int) -> Mapping[str, bytes]:
        """What is stored in a state."""
        return self._stores[state & MASK]

    def number(self, state: int) -> int:  # of what is stored
        return state & MASK

    def ends(self, state: int) -> list[Ended | None]:
        """How each session ended; None: it has not."""
        found = [self._step(who, self._history(state, who)) for who in range(len(self._sessions))]
        return [step if isinstance(step, Ended) else None for step in found]

    def states(self) -> Iterator[tuple[int | None, int, bool]]:
        """Give every transition, depth first, with whether its end is new; and the first state with None before it."""
        yield None, self.first, True
        seen = {self.first}
        waiting = [self.first]
        while waiting:
            state = waiting.pop()
            for session in self._whose_turn(state):
                after = self._after(state, session)
                if after is None:
                    continue
                is_new = after not in seen
                if is_new:
                    seen.add(after)
                    waiting.append(after)
                yield state, after, is_new
            if not waiting:
                waiting = self._to_walk_again()

    def _whose_turn(self, _state: int) -> Sequence[int]:
        """Give the sessions whose next step is walked from a state: all."""
        return range(len(self._sessions))

    def _to_walk_again(self) -> list[int]:
        """Give the states to go on from when nothing else is left: none."""
        return []

    def close(self) -> None:
        """End the threads that still wait."""
        while self._threads:
            self._threads.popitem()[1].give_up()

    def _history(self, state: int, session: int) -> int:
        return state >> (BITS * (session + 1)) & MASK

    def _after(self, state: int, session: int) -> int | None:
        history = self._history(state, session)
        step = self._step(session, history)
        if isinstance(step, Ended):
            return None
        key = (state & MASK, session, history)
        if key not in self._taken:
            answer, stored = take(step, self._stores[state & MASK])
            self._taken[key] = (self._store(stored), self._longer_history(history, answer))
        number, longer = self._taken[key]
        return state + number - (state & MASK) + ((longer - history) << (BITS * (session + 1)))

    def _step(self, session: int, history: int) -> Step | Ended:
        """What a session does after a history."""
        if (session, history) not in self._next:
            self._next[session, history] = self._run_to(session, history).step
        return self._next[session, history]

    def _run_to(self, session: int, history: int) -> _Running:
        """Bring a thread to the end of a history: one that waits a step before it, or a new one."""
        before, answer = self._histories[history]
        running = self._threads.pop((session, before), None) if history else None
        if running:
            running.go_on(answer)
        else:
            running = _Running(self._sessions[session], session)
            for known in self._answers(history):
                running.go_on(known)
        self._threads[session, history] = running
        if len(self._threads) > MOST_THREADS:
            self._threads.pop(next(iter(self._threads))).give_up()
        return running

    def _answers(self, history: int) -> list[object]:
        answers = []
        while history:
            history, answer = self._histories[history]
            answers.append(answer)
        return answers[::-1]

    def _store(self, stored: Mapping[str, bytes]) -> int:
        key = frozenset(stored.items())
        if key not in self._numbers:
            self._numbers[key] = len(self._stores)
            self._stores.append(stored)
        return self._numbers[key]

    def _longer_history(self, history: int, answer: object) -> int:
        if (history, answer) not in self._longer:
            self._longer[history, answer] = len(self._histories)
            assert len(self._histories) < MASK, "BITS is too small"
            self._histories.append((history, answer))
        return self._longer[history, answer]


class _Serial:
    """Does at once what pyiceberg gives to threads, so that steps have one order."""

    def submit(self, work: Callable[..., object], *args: object) -> Future[object]:
        done: Future[object] = Future()
        done.set_result(work(*args))
        return done

    def map(self, work: Callable[..., object], *items: Sequence[object]) -> list[object]:
        return [work(*each) for each in zip(*items, strict=True)]


class _Clock(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> _Clock:
        return cls(BEGIN.year, BEGIN.month, BEGIN.day, tzinfo=tz)


_own = local()  # the session of a thread, and how often it asked for random bytes


def _random_bytes(length: int) -> bytes:
    _own.made += 1
    return hashlib.shake_128(f"{_own.session} {_own.made}".encode()).digest(length)


@contextmanager
def deterministic() -> Iterator[None]:
    """For the block, let random bytes follow from the number of the session, let time stand still, and let pyiceberg
    remember nothing from one run to the next."""
    _own.session, _own.made = -1, 0
    with ExitStack() as patches:
        patches.enter_context(patch("os.urandom", _random_bytes))
        patches.enter_context(patch("time.time", BEGIN.timestamp))
        for module in ("pyiceberg.table.update", "dwh.lake.iceberg.lake"):
            patches.enter_context(patch(f"{module}.datetime", _Clock))
        patches.enter_context(patch("pyiceberg.utils.concurrent.ExecutorFactory.get_or_create", _Serial))
        patches.enter_context(patch("pyiceberg.manifest._manifest_cache._cache", None))
        yield
