"""A small folder in the CIKGRec layout, with every quirk the published ones have."""

from __future__ import annotations

from pathlib import Path

FILES = {
    "train.txt": "0 0 1 2\n1 2 1 1\n\n2\n3 0\n",
    "test.txt": "0 3\n1 0\n",
    "user_list.txt": "org_id remap_id\nu-10 0\nu-20 1\nu-30 2\nu-40 3\n",
    "item_list.txt": (
        "org_id remap_id item_name\n0002 0 Snow: A Tale of Two\n0010 1\n7 2 http://x.org/resource/Snow\n9 3\n\n"
    ),
    "entity_list.txt": (
        "org_id remap_id\n"
        "http://dbpedia.org/resource/Snow 0\n"
        "http://dbpedia.org/resource/Dragonfly_in_Amber_%28novel%29 1\n"
        "http://dbpedia.org/resource/Snow_(poem) 2\n"
        "m.03 3\n"
        "http://dbpedia.org/resource/Am%C3%A9lie 4\n"
        "7 5\n"
    ),
    "relation_list.txt": (
        "org_id remap_id\nhttp://a.org/ontology/literaryGenre 0\nhttp://b.org/literaryGenre 1\nbook.author 2\n"
    ),
    "kg_final.txt": "0 0 4\n1 1 4\n2 2 5\n5 2 4\n2 2 5\n\n",
    "user_interest_clustered.txt": "0 6\n1 8\n1 8\n3 6\n",
}


def write(folder: Path, **changes: str | None) -> Path:
    """Write the folder, with some files changed (`train="…"`) or left out (`item_list=None`)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in FILES.items():
        changed = changes.get(name.removesuffix(".txt"), content)
        if changed is not None:
            (folder / name).write_text(changed, encoding="utf-8", newline="")
    return folder
