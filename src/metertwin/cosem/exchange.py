"""One question and all it takes to answer it, driven from outside, octets in and octets out."""

from collections.abc import Callable, Generator
from typing import Generic, TypeAlias, TypeVar

from metertwin.core.errors import MeterTwinError
from metertwin.cosem.apdu.decode import Apdu
from metertwin.cosem.errors import ProtocolError

T = TypeVar("T")

# Yields each APDU to send, is sent each answer, returns the result.
Steps: TypeAlias = Generator[Apdu, Apdu, T]


class Exchange(Generic[T]):
    """A service under way.

    Send `request`, give every answer to `feed`, send what it returns, until it returns None; then
    `result` is there. An error ends the exchange.

    Args:
        steps: What to send and how to read the answers.
        encode: An APDU to the octets to send.
        decode: The octets of an answer to its APDU.
    """

    __slots__ = ("_decode", "_encode", "_is_done", "_outcome", "_steps", "request")

    def __init__(
        self, steps: Steps[T], encode: Callable[[Apdu], bytes], decode: Callable[[bytes], Apdu]
    ) -> None:
        self._steps = steps
        self._encode = encode
        self._decode = decode
        self._is_done = False
        self._outcome: tuple[T] | None = None
        self.request = encode(next(steps))

    def feed(self, octets: bytes) -> bytes | None:
        """Take an answer; return the octets to send next, or None when the result is there.

        Raises:
            CosemError: The answer is malformed, fails its check, does not fit, or refuses.
        """
        if self._is_done:
            raise ProtocolError("The exchange is over; this answer belongs to no question.")
        try:
            return self._encode(self._steps.send(self._decode(octets)))
        except StopIteration as stop:
            self._is_done = True
            self._outcome = (stop.value,)
            return None
        except MeterTwinError:
            self._is_done = True
            self._steps.close()
            raise

    @property
    def is_done(self) -> bool:
        """Whether no further answer is due."""
        return self._is_done

    @property
    def result(self) -> T:
        """What was asked for.

        Raises:
            ProtocolError: The exchange is not over, or ended in an error.
        """
        if self._outcome is None:
            raise ProtocolError("The exchange has no result: it is not over, or ended in an error.")
        return self._outcome[0]
