"""Work on blocks of rows, in this process or on the nodes of a cluster."""

from palate.distributed.exchange import Exchange, Local

__all__ = ["Exchange", "Local"]
