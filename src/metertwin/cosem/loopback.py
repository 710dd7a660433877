"""A client's exchange run straight into a meter's association: no frames, no socket, no time.

For tools and tests that need the two sides of COSEM and nothing between them.
"""

from typing import Any, TypeVar

from metertwin.cosem.errors import ProtocolError
from metertwin.cosem.exchange import Exchange
from metertwin.cosem.server.association import ServerAssociation

T = TypeVar("T")


def ask(meter: ServerAssociation[Any], exchange: Exchange[T]) -> T:
    """Run an exchange to its end and return its result.

    Args:
        meter: The meter's side. (Any: the meter's state does not matter here.)
        exchange: What the client asks.

    Raises:
        CosemError: The exchange ended in it.
    """
    question: bytes | None = exchange.request
    while question is not None:
        answer = meter.handle(question)
        if answer is None:
            raise ProtocolError("The meter has no answer to a confirmed service.")
        question = exchange.feed(answer)
    return exchange.result
