"""Work on blocks of rows, in this process or on the nodes of a cluster.

`ray` names a Ray cluster; `fit(blocks, on=palate.distributed.ray())` then solves users and items there, with the same
result as in this process.
"""

from __future__ import annotations

from palate.distributed.exchange import Cluster, Exchange, Local
from palate.distributed.ray_exchange import RayCluster
from palate.options import check_flags, check_whole

__all__ = ["Cluster", "Exchange", "Local", "ray"]


def ray(address: str | None = None, *, workers: int | None = None, threads: int = 0, place: bool = False) -> RayCluster:
    """Return a Ray cluster to spread work over; nothing is started before the work begins.

    Workers are processes that Ray starts on the nodes of the cluster when a fit begins and that end with it. All nodes
    need the same versions of palate and NumPy, and must see the ratings under the same path. A worker that is lost is
    replaced, and what it was doing is done again.

    Parameters:
        address (str or None, default None): The address of the cluster: "auto" or "host:port" from one of its nodes,
            "ray://host:port" from elsewhere. None: the connection or the cluster that this machine has already; else
            one is begun on this machine and ended after the work.
        workers (int or None, default None): How many workers, 1 or more. None: as many as there is room for.
        threads (int, default 0): The threads of each worker, which takes as many CPUs of its node; 0: each worker takes
            a whole node.
        place (bool, default False): Copy the ratings once to nodes that do not see their folder, into the cache folder
            of palate there.

    Returns:
        RayCluster: What `on=` takes.

    Raises:
        OptionError: An option is out of its range.

    Example:
        >>> import palate
        >>> cluster = palate.distributed.ray("auto", threads=8)
        >>> cluster.threads
        8
    """
    check_whole(1, or_none=True, workers=workers)
    check_whole(threads=threads)
    check_flags(place=place)
    return RayCluster(address, workers, threads, place)


def __dir__() -> list[str]:
    return sorted(__all__)
