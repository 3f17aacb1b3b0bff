"""The folder layout that CoLaKG's authors publish: histories by number, and maps from original ids to numbers.

============================  ===========================================
`train.txt`, `test.txt`       one user per line: `user item item …`, by number
`user_map.txt`                `org_id remap_id`: the original id of each user
`item_map.txt`                `org_id remap_id`: the original id of each item
============================  ===========================================

Without maps the numbers are the ids. Neither users nor items have names; an item is named by its id. The answers of the
language model beside these files, `llm_response_user.json` and `llm_response_item.json`, are read by
`cikg answers import`, which finds the numbers in the same maps (`cikg.datasets.answers`).

Rows are rejected, and lists refused, as `cikg.datasets.reading.numbered` says.
"""

from __future__ import annotations

from collections.abc import Iterator

from cikg.datasets.reading.numbered import Histories, listing, needs_histories, nodes, original
from cikg.datasets.reading.source import Source
from cikg.datasets.records import Format, Item, Record, User
from cikg.schema import Label

MAPS = {Label.USER: "user_map.txt", Label.ITEM: "item_map.txt"}
ANSWERS = {Label.USER: "llm_response_user.json", Label.ITEM: "llm_response_item.json"}


def read(source: Source) -> Iterator[Record]:
    """Yield the records of a folder; the layout is described above.

    Raises:
        InputError: there is no `train.txt` or `test.txt`, or a map contradicts itself.
    """
    needs_histories(source)
    users, items = listing(source, MAPS[Label.USER]), listing(source, MAPS[Label.ITEM])
    histories = Histories(source, (MAPS[Label.USER], users), (MAPS[Label.ITEM], items))
    yield from nodes(source, MAPS[Label.USER], users, histories.users, lambda number: User(original(users, number)))
    yield from nodes(
        source,
        MAPS[Label.ITEM],
        items,
        histories.items,
        lambda number: Item(original(items, number), name=original(items, number)),
    )
    yield from histories.interactions(source)


FORMAT = Format(
    name="colakg",
    help="A folder as CoLaKG's authors publish it: train.txt, test.txt, user_map.txt and item_map.txt.",
    read=read,
)
