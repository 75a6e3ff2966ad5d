"""An INVITE on its way: the transactions that it forks into, and what their answers mean (RFC 3261 section 16.7)."""

from ringback.sip.message import SipMessage


class InviteAttempt:
    """The newest INVITE without a To tag, by its CSeq number, and its branches.

    The branch seen first is the one nearest to the caller: what answers it is the answer to the call. The others are
    what proxies made of it, and those of them in ``open`` have not been answered.
    """

    __slots__ = ("_branches", "_open", "_root", "caller_tag", "is_over", "number", "refusal")

    def __init__(self, message: SipMessage) -> None:
        self.caller_tag = message.from_tag
        self.number = _number(message)
        self.refusal: str | None = None
        """Of a branch; it is the caller's when no other branch is left."""
        self.is_over = False
        """Whether the caller was refused, as far as one can see: what the caller sends after that is another attempt."""
        self._root = message.branch
        self._branches = {self._root}
        self._open: set[str] = set()

    def is_of(self, message: SipMessage) -> bool:
        return _number(message) == self.number and message.from_tag == self.caller_tag

    def is_before(self, message: SipMessage) -> bool:
        """Whether this INVITE is the caller's next attempt: with credentials, or to where it was redirected. Some begin it with
        another From tag, and some (a proxy that has the credentials) with the CSeq number of the first."""
        if self.is_over and message.branch not in self._branches:
            return not self.is_after(message)
        return _number(message) > self.number and message.from_tag == self.caller_tag

    def is_after(self, message: SipMessage) -> bool:
        """Whether this is left over from an attempt before."""
        return _number(message) < self.number and message.from_tag == self.caller_tag

    def has(self, branch: str) -> bool:
        return branch in self._branches

    def is_root(self, branch: str) -> bool:
        return branch == self._root

    def fork(self, branch: str) -> None:
        if branch not in self._branches:
            self._branches.add(branch)
            self._open.add(branch)

    def cancel(self, branch: str) -> bool:
        """Whether the caller gives up, rather than a proxy on one of its branches."""
        is_fork = branch in self._open
        self._open.discard(branch)
        return not is_fork

    def fail(self, branch: str) -> bool:
        """Whether a final failure on this branch is the answer to the caller, as far as one can see."""
        is_answer = branch == self._root or branch not in self._branches
        self.is_over = self.is_over or is_answer
        self._branches.add(branch)
        self._open.discard(branch)
        return is_answer

    @property
    def is_forked(self) -> bool:
        """Whether branches other than the first wait for an answer."""
        return bool(self._open)


def _number(message: SipMessage) -> int:
    return message.cseq[0] if message.cseq else 0
