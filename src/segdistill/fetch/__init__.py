"""Files from elsewhere: downloaded only when asked for, checked, whole or absent; archives unpacked with care.

Standard library only. What is there with the right checksum is never asked for again.
"""

from segdistill.fetch.archives import Limits, unpack
from segdistill.fetch.doors import DEEPCELL, OPEN, Door
from segdistill.fetch.download import Fetched, download
from segdistill.fetch.item import Item
from segdistill.fetch.ledger import Finding, check, check_recorded, record

__all__ = [
    "DEEPCELL",
    "OPEN",
    "Door",
    "Fetched",
    "Finding",
    "Item",
    "Limits",
    "check",
    "check_recorded",
    "download",
    "record",
    "unpack",
]
