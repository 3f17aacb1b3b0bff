"""A small dataset in each published format, with the quirks that the published files have."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from cikg.datasets.reading.source import Source
from cikg.datasets.registry import format_named
from cikg.datasets.tables import NEVER, SPLITS, Tables, collect


def put(file: Path, *lines: str, encoding: str = "utf-8") -> Path:
    """Write a file's lines, packed as its ending says."""
    content = "".join(f"{line}\n" for line in lines).encode(encoding)
    if file.suffix == ".gz":
        content = gzip.compress(content)
    elif file.suffix == ".zst":
        content = zstandard.compress(content)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def json_lines(*rows: dict[str, Any]) -> list[str]:
    return [json.dumps(row) for row in rows]


@dataclass(frozen=True)
class Found:
    """What a format found, by ids.

    Attributes:
        users, items: names by id.
        entities: names by id.
        facts: (head, relation, tail).
        interactions: (user, item, split) to (rating, time).
        rejected: (file's name, line) of rejected rows.
        rows: how many rows were read.
    """

    users: dict[str, str | None]
    items: dict[str, str]
    texts: dict[str, str]
    entities: dict[str, str]
    facts: set[tuple[str, str, str]]
    interactions: dict[tuple[str, str, str], tuple[float | None, int | None]]
    rejected: list[tuple[str, int]]
    rows: int


def read(format_name: str, path: Path) -> Found:
    """Read a dataset and check it as an import does."""
    source = Source(path)
    tables = collect(format_named(format_name).read(source), source)
    return Found(
        users={user.id: user.name for user in tables.users},
        items={item.id: item.name for item in tables.items},
        texts={item.id: item.text for item in tables.items if item.text},
        entities={entity.id: entity.name for entity in tables.entities},
        facts=_facts(tables),
        interactions=_interactions(tables),
        rejected=[(rejected.file.name, rejected.line) for rejected in source.rejected],
        rows=source.rows,
    )


def _facts(tables: Tables) -> set[tuple[str, str, str]]:
    things = tables.things
    return {
        (things[head].id, relation, things[tail].id)
        for relation, pairs in tables.facts.items()
        for head, tail in zip(pairs.source_index, pairs.target_index, strict=True)
    }


def _interactions(tables: Tables) -> dict[tuple[str, str, str], tuple[float | None, int | None]]:
    columns = vars(tables.interactions).values()
    return {
        (tables.users[user].id, tables.items[item].id, str(SPLITS[split])): (
            None if np.isnan(rating) else float(rating),
            None if at == NEVER else int(at),
        )
        for user, item, split, rating, at in zip(*columns, strict=True)
    }


def movielens_100k(folder: Path) -> Path:
    flags = {"Comedy": 5, "unknown": 0, "Drama": 8, "Sci-Fi": 15}

    def movie(start: str, *genres: str) -> str:
        return start + "".join("|1" if place in {flags[genre] for genre in genres} else "|0" for place in range(19))

    put(folder / "u.data", "196\t242\t3\t881250949", "186\t242\t4\t891717742", "196\t267\t1\t881250950")
    put(
        folder / "u.item",
        movie("242|Kolya (1996)|24-Jan-1997||http://us.imdb.com/M/title-exact?Kolya%20(1996)", "Comedy"),
        movie("267|unknown|||", "unknown"),
        movie("300|Misérables, Les|01-Jan-1995||http://us.imdb.com/", "Drama", "Sci-Fi"),
        encoding="latin-1",
    )
    put(folder / "u.user", "196|49|M|writer|55105", "186|39|F|executive|00000")
    return folder


def movielens_1m(folder: Path) -> Path:
    put(
        folder / "ratings.dat",
        "1::1193::5::978300760",
        "1::661::3::978302109",
        "2::1193::4::978298413",
        "2::73::2::978298151",
    )
    put(
        folder / "movies.dat",
        "661::James and the Giant Peach (1996)::Animation|Children's|Musical",
        "1193::One Flew Over the Cuckoo's Nest (1975)::Drama",
        "73::Misérables, Les (1995)::Drama|Musical",
        "9::Rebuild: Evangelion:: 1.0 (2007- )::Animation",
        encoding="latin-1",
    )
    put(folder / "users.dat", "1::F::1::10::48067", "2::M::56::16::70072")
    return folder


def movielens_csv(folder: Path) -> Path:
    put(folder / "ratings.csv", "userId,movieId,rating,timestamp", "1,1,4.0,964982703", "2,1,0.5,964982704")
    put(
        folder / "movies.csv",
        "movieId,title,genres",
        "1,Toy Story (1995),Adventure|Comedy",
        '2,"American President, The (1995)",Comedy',
        '3,"""Great Performances"" Cats (1998)",(no genres listed)',
    )
    put(
        folder / "tags.csv",
        "userId,movieId,tag,timestamp",
        "1,1,Pixar,1",
        "2,1, pixar ,2",
        "1,1,saw it,3",
        "1,1,saw it,4",
        "2,2,pixar,5",
        "3,1,PIXAR,6",
    )
    put(folder / "links.csv", "movieId,imdbId,tmdbId", "1,0114709,862")
    return folder


def recbole(folder: Path) -> Path:
    put(
        folder / "ml.inter",
        "item_id:token\trating:float\tuser_id:token\ttimestamp:float",
        "10\t4\tu1\t978300760",
        "20\t\tu1\t1.6e12",
        "10\t3.5\tu2\t",
    )
    put(folder / "ml.user", "age:token\tuser_id:token\tuser_name:token", "24\tu1\tAnn", "53\tu2\t", "33\tu3\tCem")
    put(
        folder / "ml.item",
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\tgenre:token_seq\tdescription:token_seq"
        "\tprice:float",
        "10\tToy Story\t1995\tAnimation Children's\tDrama, Slice of Life\tToys, alive.\t9.5",
        '20\t"The ""Net"""\t\t\tSlice of Life\t\t',
    )
    put(
        folder / "ml.kg",
        "head_id:token\trelation_id:token\ttail_id:token",
        "m.01\tfilm.film.genre\tm.comedy",
        "m.02\tfilm.film.genre\tm.comedy",
        "m.09\tfilm.film.sequel\tm.01",
        "m.comedy\tfilm.genre.parent\t10",
    )
    put(folder / "ml.link", "entity_id:token\titem_id:token", "m.01\t10", "m.02\t20", "m.09\t99")
    return folder


def amazon_2014(folder: Path) -> Path:
    """Reviews in JSON; metadata as Python printed it, of which one product was never reviewed."""
    put(
        folder / "reviews_Toys_5.json.gz",
        *json_lines(
            {
                "reviewerID": "A1",
                "asin": "0000031852",
                "reviewerName": "J. &amp; K.",
                "overall": 5.0,
                "unixReviewTime": 1294876800,
                "reviewText": "A tutu.",
            },
            {"reviewerID": "A2", "asin": "B00TLEMSVK", "overall": 2.0, "unixReviewTime": 1294876801},
            {"reviewerID": "A1", "asin": "B00TLEMSVK", "overall": 4.0, "unixReviewTime": 1294876802},
        ),
    )
    put(
        folder / "meta_Toys.json.gz",
        r"{'asin': '0000031852', 'title': 'Girls\' Ballet Tutu &quot;Zebra&quot;', 'price': 3.17, 'brand': 'Coxlures', "
        r"'related': {'also_bought': ['B00TLEMSVK', 'B00NEVER00'], 'also_viewed': []}, 'salesRank': {'Toys': 2}, "
        r"'categories': [['Sports & Outdoors', 'Dance'], ['Sports & Outdoors', 'Clothing']], 'description': None}",
        '{"asin": "B00NEVER00", \'title\': "Bob\'s"}',
        "{'asin': 'B00TLEMSVK', 'categories': [['Dance']], 'description': 'Soft <b>cloth</b>,\\nwarm.'}",
    )
    return folder


def amazon_2018(folder: Path) -> Path:
    put(folder / "Toys.csv", "0000031852,A1,5.0,1294876800", "B00TLEMSVK,A2,2.0,1294876801")
    put(
        folder / "meta_Toys.json",
        *json_lines(
            {
                "asin": "0000031852",
                "title": "Tutu",
                "brand": "by\n    \n    Coxlures",
                "main_cat": '<img src="a.png" alt="Toys"/>',
                "category": ["Toys & Games", "Dance", "</span></span></span>", "Machine wash"],
                "also_buy": ["B00TLEMSVK"],
                "also_view": ["B00TLEMSVK", "0000031852"],
                "feature": ["Zebra", "Soft"],
                "description": [],
            },
            {"asin": "0000031852", "title": "Tutu again"},
            {"asin": "B00TLEMSVK", "title": "var aPageStart = (new Date()).getTime();", "brand": ""},
        ),
    )
    return folder


def amazon_2023(folder: Path) -> Path:
    put(
        folder / "Toys.jsonl.zst",
        *json_lines(
            {
                "user_id": "AG1",
                "asin": "B00VARIANT",
                "parent_asin": "B00PARENT0",
                "rating": 3.0,
                "timestamp": 1588687728923,
            },
            {"user_id": "AG2", "asin": "B00OTHER00", "rating": 5, "timestamp": 1588687729000},
        ),
    )
    put(
        folder / "meta_Toys.jsonl",
        *json_lines(
            {
                "main_category": "Toys",
                "title": "Blocks",
                "features": [],
                "description": ["Wooden.", "Safe."],
                "store": "Howard",
                "categories": ["Toys", "Blocks"],
                "parent_asin": "B00PARENT0",
                "bought_together": None,
            },
        ),
    )
    return folder


def steam(folder: Path) -> Path:
    put(
        folder / "australian_users_items.json",
        "{'user_id': '7656', 'items_count': 2, 'steam_id': '7656', 'items': [{'item_id': '10', 'item_name': "
        "'Counter-Strike', 'playtime_forever': 90, 'playtime_2weeks': 0}, {'item_id': '4000', 'item_name': "
        "\"Garry's Mod\", 'playtime_forever': 0, 'playtime_2weeks': 0}]}",
        "{'user_id': 'js41637', 'items_count': 0, 'steam_id': '7657', 'items': []}",
        "{'user_id': 'evcentric', 'items_count': 1, 'items': [{'item_id': '10', 'item_name': 'Counter-Strike', "
        "'playtime_forever': 6, 'playtime_2weeks': 0}]}",
    )
    put(folder / "steam_games.json", *STEAM_GAMES)
    return folder


STEAM_GAMES = (
    "{u'publisher': u'Valve', u'genres': [u'Action', u'Design &amp; Illustration'], u'app_name': u'Counter-Strike', "
    "u'release_date': u'2000-11-01', u'tags': [u'FPS'], u'specs': [u'Multi-player'], u'early_access': False, "
    "u'id': u'10', u'developer': u'Valve', u'metascore': 88, u'price': u'Free'}",
    "{u'app_name': u'Lost', u'price': 0.99}",
    "{u'app_name': u'Counter-Strike again', u'id': u'10'}",
    "{u'app_name': u'Pok\\xe9 \\u2122', u'id': u'30', u'release_date': u'Soon..', u'publisher': None}",
)


def steam_reviews(folder: Path) -> Path:
    put(
        folder / "steam_reviews.json.gz",
        "{u'username': u'Chaos Syren ', u'hours': 0.1, u'products': 41.0, u'product_id': u'10', u'page_order': 0, "
        "u'date': u'2017-12-17', u'text': u'It\\'s \"fun\"\\n', u'early_access': False, u'page': 1}",
        "{u'username': u'\\u2605Ann\\u200d', u'product_id': u'20', u'date': u'2018-01-01', u'user_id': u'7656'}",
    )
    put(folder / "steam_games.json", STEAM_GAMES[0])
    return folder


def yelp(folder: Path) -> Path:
    put(
        folder / "yelp_academic_dataset_business.json",
        *json_lines(
            {
                "business_id": "b1",
                "name": "Zoë's Café",
                "city": "Springfield",
                "state": "MO",
                "categories": "Coffee & Tea, Food",
                "hours": None,
            },
            {"business_id": "b2", "name": "Fix", "city": "Springfield", "state": "IL", "categories": None},
            {"business_id": "b3", "name": "Old", "city": "", "state": "", "categories": ["Food"]},
        ),
    )
    put(
        folder / "yelp_academic_dataset_user.json",
        *json_lines({"user_id": "u1", "name": "Walker", "friends": "u2, u3"}, {"user_id": "u9", "name": ""}),
    )
    put(
        folder / "yelp_academic_dataset_review.json",
        *json_lines(
            {"review_id": "r1", "user_id": "u1", "business_id": "b1", "stars": 4.0, "date": "2018-07-07 22:09:11"},
            {"review_id": "r2", "user_id": "u2", "business_id": "b2", "stars": 1, "date": "2014-12-11"},
        ),
    )
    put(
        folder / "yelp_academic_dataset_tip.json",
        *json_lines({"user_id": "u1", "business_id": "b1", "date": "2020-01-01 00:00:00"}),
    )
    return folder


def book_crossing(folder: Path) -> Path:
    put(
        folder / "BX-Book-Ratings.csv",
        '"User-ID";"ISBN";"Book-Rating"',
        '"276725";"034545104X";"0"',
        '"276726";"0155061224";"5"',
        '"276726";"078946697X";"8"',
        '"276729";"0330332775";"3"',
    )
    put(
        folder / "BX-Books.csv",
        '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher";"Image-URL-S";"Image-URL-M";"Image-URL-L"',
        r'"034545104X";"Flesh Tones: \"A Novel\"; with more";"M. J. Rose";"2002";"Simon &amp; Schuster";"s";"m";"l"',
        '"0155061224";"Rites of Passagé";"Judith Rae";"0";"Heinle";"s";"m";"l"',
        r'"078946697X";"DK Readers: X-Men (Level 4)\";Michael Teitelbaum";"2000";"DK Publishing Inc";"s";"m";"l"',
        r'"0425182908";"Back to C:\";"Isadora Alman";"2037";"Berkley";"s";"m";"l"',
        encoding="latin-1",
    )
    put(folder / "BX-Users.csv", '"User-ID";"Location";"Age"', '"276725";"nyc, new york, usa";NULL')
    return folder
