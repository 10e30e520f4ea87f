"""How many messages a queue may hold unclaimed: enough to feed it, no more.

What is published has left the fair line, so a long window would make others wait. It
holds one message beside each slot, and what was lately claimed in half a second.
"""

from collections import deque

_LATELY_S = 1.0
_AHEAD = 0.5


class Window:
    """The window of one queue; the clock is the caller's, in seconds."""

    def __init__(self, *, most: int) -> None:
        """Begin without slots; ``most`` bounds the window whatever is claimed."""
        self._most = most
        self._claims: deque[tuple[float, int]] = deque()
        self._known = 0
        self.slots = 0

    def size(self, now: float) -> int:
        """Return how many unclaimed messages the queue may hold."""
        # A copy: the dispatcher's listener asks while its publisher notes claims.
        lately = now - _LATELY_S
        claimed = sum(count for at, count in tuple(self._claims) if at > lately)
        # Idle slots take a message each at once, which says nothing of their pace.
        flowing = max(0, claimed - self.slots) * _AHEAD
        return min(self._most, max(2, self.slots + 1) + int(flowing))

    def room(self, *, unclaimed: int, now: float) -> int:
        """Return how many more may be published, given how many are unclaimed."""
        while self._claims and self._claims[0][0] <= now - _LATELY_S:
            self._claims.popleft()
        if (claimed := self._known - unclaimed) > 0:
            self._claims.append((now, claimed))
        self._known = unclaimed
        return max(0, self.size(now) - unclaimed)

    def sent(self, count: int) -> None:
        """Note what was published after ``room`` was asked."""
        self._known += count
