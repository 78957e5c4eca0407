"""Items read in threads before they are asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class ReadAhead(Generic[T]):
    """Reads the items that follow the one asked for, in threads; an item is what it would be without.

    Keras' own OrderedEnqueuer keeps what is left over for the next epoch, in the order of the one before: seen with
    `tf.distribute`, which looks at a batch before the first epoch begins, and reads beyond the end of each.

    Args:
        read: an item by its number; called in threads.
        length: how many items there are.
        pool: of threads.
        depth: at most this many items are kept ready.
    """

    def __init__(self, read: Callable[[int], T], *, length: int, pool: ThreadPoolExecutor, depth: int) -> None:
        self._read, self._length, self._pool, self._depth = read, length, pool, depth
        self._lock = threading.Lock()
        self._ready: dict[int, Future[T]] = {}

    def __getitem__(self, index: int) -> T:
        if not 0 <= index < self._length:
            raise IndexError(index)
        with self._lock:
            near = range(index, min(index + self._depth + 1, self._length))
            for i in near:
                if i not in self._ready:
                    self._ready[i] = self._pool.submit(self._read, i)
            future = self._ready.pop(index)
            for i in [i for i in self._ready if i not in near]:
                self._ready.pop(i).cancel()
        return future.result()

    def close(self) -> None:
        """Drop what was read ahead."""
        with self._lock:
            while self._ready:
                self._ready.popitem()[1].cancel()
