"""The bus: publish with confirms, consume in batches, on a topology that is data. README.md says what it promises."""

from shared.bus.connection import Broker
from shared.bus.consumer import BatchConsumer, Patience, Suspects
from shared.bus.link import Timings
from shared.bus.messages import Delivery, Message, Nacked, NotPublished, Publisher, Unavailable, Unroutable
from shared.bus.topology import TOPOLOGY, Topology

__all__ = [
    "TOPOLOGY",
    "BatchConsumer",
    "Broker",
    "Delivery",
    "Message",
    "Nacked",
    "NotPublished",
    "Patience",
    "Publisher",
    "Suspects",
    "Timings",
    "Topology",
    "Unavailable",
    "Unroutable",
]
