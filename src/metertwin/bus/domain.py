"""The streams and buckets of another site, as if they were here.

The server maps `$JS.<domain>.API.…` to that domain's own interface, and keeps the subjects of
buckets, `$KV.…`, from crossing a link: written from elsewhere they carry the domain's prefix.
"""

from typing import Any

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import PubAck

from metertwin.bus.place import ALONE_DOMAIN


def stream_api_of(domain: str) -> str:
    """Return what subjects of a domain's stream interface begin with.

    Example:
        >>> stream_api_of("edge1"), stream_api_of("")
        ('$JS.edge1.API', '$JS.API')
    """
    return f"$JS.{domain}.API" if domain else "$JS.API"


class DomainContext(JetStreamContext):
    """The client library's context; writes to buckets find the domain, which it leaves out."""

    def __init__(self, client: Client, domain: str, timeout_s: float) -> None:
        super().__init__(client, domain=domain or None, timeout=timeout_s)
        self._bucket_prefix = "" if domain == ALONE_DOMAIN else f"{stream_api_of(domain)}."

    async def publish(self, subject: str, *args: Any, **options: Any) -> PubAck:  # noqa: ANN401 - the library's own
        """Publish to a stream and return its acknowledgement."""
        if subject.startswith("$KV."):
            subject = self._bucket_prefix + subject
        return await super().publish(subject, *args, **options)
