"""What every way of running series from files has in common: the digest of their content, and what is made of them."""

from collections.abc import Mapping, Sequence

from node.assemble.elements import read_beginning
from node.domain.case import Order, Reason
from node.domain.identifiers import Digest, set_digest
from node.domain.series import Series
from node.receive.headers import digest_of
from node.select import Accepted, select
from node.settings import RouteSettings


def content_digest(series: Series) -> Digest:
    """Return the digest of the set of instances: what it would be, had they come over the network.

    Raises InputError for a file that is no DICOM any more, and OSError.
    """
    paths = {frame.sop_instance_uid: frame.path for frame in series.frames}
    digests: dict[str, Digest] = {}
    for uid, path in paths.items():
        transfer_syntax_uid, offset = read_beginning(path)
        digests[uid] = digest_of(transfer_syntax_uid, memoryview(path.read_bytes())[offset:])
    return set_digest(digests)


def order_of(
    series: Series, routes: Sequence[RouteSettings], orders: Mapping[str, Order], *, all_series: bool
) -> Order | tuple[Reason, ...]:
    """Return what is to be made of a series, or why no route takes it.

    `orders`: by the name of the route. With `all_series` what no route takes is made what the first one asks for.
    """
    verdict = select(series.header, routes)
    if isinstance(verdict, Accepted):
        return orders[verdict.route.name]
    return orders[routes[0].name] if all_series else verdict.reasons
