"""A person's own Cypher, read-only by construction: several guards, each of which would do for what it is made for.

1. The transaction has read access: the server refuses every write, however it is written.
2. The server plans the statement before it runs it. It has to be of type `r`, and its plan may hold only operators that
   read the graph, from a list: an operator that is not on it (`LoadCSV`, `ShowUsers`, `TerminateTransactions`, or one
   that a later server brings) is refused, and so is a procedure that is not on a list of its own.
3. Functions with a namespace can be a plugin's and do anything: those that the language does not bring are refused by
   name, since no plan shows them.
4. Time and memory are the server's to limit (`seconds`, `db.memory.transaction.max`); rows are ours.

None of these reads the statement for words such as CREATE: that could be written otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import neo4j

from cikg.errors import InputError, NotReadOnlyError, StatementError
from cikg.graph.database import Answer, Graph, Operator
from cikg.graph.schema_files import split

MOST_ROWS = 10_000
MOST_NODES = 150
"""Of the picture; more could not be read."""

_ENDS = r"(?:All|Into|Pruning|Trail|Walk|Acyclic|BFS|DFS|,|\s)*"
_READING = re.compile(
    rf"""
    (?:Multi|Partitioned)?(?:Node|(?:Directed|Undirected)(?:Union)?Relationships?)
        (?:By(?:ElementId|Id|Label)|Unique|Index|Vector|Fulltext|Contains|EndsWith|Type|Types|Seek|Scan|Search|Range|By)*
    | (?:Partitioned)?(?:AllNodesScan|(?:Directed|Undirected)AllRelationshipsScan)
    | (?:Union|Intersection|Subtraction|Partitioned(?:Union|Intersection|Subtraction))NodeByLabelsScan
    | (?:Node|Relationship)CountFromCountStore | DynamicLabelNodeLookup(?:\(\w+\))?
    | Dynamic(?:Directed|Undirected)RelationshipTypeLookup(?:\(\w+\))?
    | (?:Optional)?(?:VarLength)?Expand\({_ENDS}\) | (?:BFS)?PruningVarLengthExpand
    | (?:Bidirectional)?Repeat\({_ENDS}\) | StatefulShortestPath\({_ENDS}\) | ShortestPath | AllShortestPaths
    | ProjectEndpoints | Triadic(?:Selection|Build|Filter)
    | (?:Anti|Let|LetAnti|SelectOr|SelectOrAnti|LetSelectOr|LetSelectOrAnti)?SemiApply | Apply | RollUpApply
    | (?:Anti)?ConditionalApply | CartesianProduct | Argument(?:Tracker)? | Optional | Prober | PreserveOrder
    | (?:Node|Value)HashJoin | Node(?:Left|Right)OuterHashJoin
    | (?:Ordered|Eager|Partial)?Aggregation | (?:Ordered)?(?:Distinct|Union) | (?:Partial)?(?:Sort|Top) | Top1WithTies
    | (?:Partitioned)?Unwind | Filter | (?:Exhaustive)?Limit | Skip | Eager | Projection | CacheProperties
    | RemoteBatchProperties(?:WithFilter)? | ProduceResults? | EmptyResult | EmptyRow | NullifyMetadata
    | NodeVectorIndexSearch | RelationshipVectorIndexSearch
    """,
    re.VERBOSE,
)
"""Names of operators that read the graph, or work on rows."""
_PROCEDURES = {
    "db.labels",
    "db.relationshipTypes",
    "db.propertyKeys",
    "db.index.fulltext.queryNodes",
    "db.index.fulltext.queryRelationships",
    "db.index.vector.queryNodes",
    "db.index.vector.queryRelationships",
    "db.schema.nodeTypeProperties",
    "db.schema.relTypeProperties",
    "db.schema.visualization",
}
_NAMESPACES = {
    "date",
    "datetime",
    "localdatetime",
    "localtime",
    "time",
    "duration",
    "point",
    "vector",
    "coll",
    "string",
}
"""Of the functions that the language brings."""

_TOKEN = re.compile(
    r"""
    (?P<blank>\s++ | //[^\n]*+ | /\*(?:[^*]|\*(?!/))*+(?:\*/)?)
    | (?P<text>'(?:\\.|[^'\\])*+'? | "(?:\\.|[^"\\])*+"?)
    | (?P<name>`(?:``|[^`])*+`? | \w++)
    | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)
"""A piece of a statement. None is looked at twice, so that a long statement takes no longer for its length's square."""
_ESCAPE = re.compile(r"\\u+([0-9A-Fa-f]{4})")


@dataclass(frozen=True)
class PictureNode:
    """A node of a statement's answer."""

    key: str
    label: str
    id: str
    name: str
    dataset: str | None


@dataclass(frozen=True)
class PictureEdge:
    """An edge between two of them."""

    source: str
    target: str
    type: str


@dataclass
class Picture:
    """The nodes and edges that an answer holds.

    Attributes:
        nodes: by key, no more than fit.
        edges: by key, those between them.
        left_out: whether there are more.
    """

    nodes: dict[str, PictureNode] = field(default_factory=dict)
    edges: dict[str, PictureEdge] = field(default_factory=dict)
    left_out: bool = False

    def see(self, value: Any) -> None:
        """Take the nodes and edges out of a value."""
        match value:
            case neo4j.graph.Node():
                self._add(value)
            case neo4j.graph.Relationship():
                source, target = value.start_node, value.end_node
                if source is not None and target is not None and self._add(source) and self._add(target):
                    self.edges[value.element_id] = PictureEdge(source.element_id, target.element_id, value.type)
            case neo4j.graph.Path():
                for part in (*value.nodes, *value.relationships):
                    self.see(part)
            case list():
                for part in value:
                    self.see(part)
            case dict():
                for part in value.values():
                    self.see(part)

    def _add(self, node: neo4j.graph.Node) -> bool:
        """Whether the node is in the picture. An edge's ends come without properties; a later value may have them."""
        known = self.nodes.get(node.element_id)
        if known is None and len(self.nodes) >= MOST_NODES:
            self.left_out = True
            return False
        if known is None or not known.id:
            label = next(iter(sorted(node.labels)), "")
            identifier = str(node.get("id", ""))
            name = str(node.get("name") or identifier or label)
            self.nodes[node.element_id] = PictureNode(node.element_id, label, identifier, name, node.get("dataset"))
        return True


@dataclass(frozen=True)
class Asked:
    """What a statement found.

    Attributes:
        answer: its rows.
        picture: the nodes and edges among them.
    """

    answer: Answer
    picture: Picture


def inspect(text: str) -> None:
    """Make sure of what no plan shows: that it is one statement, and calls nothing that the language does not bring.

    Raises:
        InputError: it is none, or more than one.
        NotReadOnlyError: it calls something else.
    """
    try:
        statements = split(text)
    except StatementError as error:
        raise InputError(error.message) from None
    if len(statements) != 1 or "\0" in text:
        raise InputError(f"expected one statement, found {len(statements)}", cure="Run them one at a time")
    for name in _called(text):
        if name.partition(".")[0].lower() not in _NAMESPACES and name not in _PROCEDURES:
            raise _refused(f"it calls {name[:100]}, which is not part of the language")


def check(graph: Graph, text: str, seconds: float) -> tuple[str, list[Operator]]:
    """Make sure that a statement only reads the graph, without running it.

    Args:
        graph: the graph.
        text: what a person wrote.
        seconds: how long planning may take.

    Returns:
        The statement with its language version, and its plan.

    Raises:
        InputError: it is no statement that the server understands, or more than one.
        NotReadOnlyError: it does something else than reading the graph.
    """
    inspect(text)
    statement = f"CYPHER 25 {text.strip().rstrip(';')}"
    kind, plan = graph.examine(statement, {}, seconds=seconds)
    if kind != "r":
        raise _refused("it writes or administers the server")
    for operator in plan:
        called = operator.details.partition("(")[0].strip()
        if operator.name == "ProcedureCall" and called not in _PROCEDURES:
            raise _refused(f"it calls {called}, which is not allowed")
        if operator.name != "ProcedureCall" and not _READING.fullmatch(operator.name):
            raise _refused(f"its plan has the step {operator.name}, which is not allowed")
    return statement, plan


def ask(graph: Graph, text: str, parameters: Mapping[str, Any], *, limit: int, seconds: float) -> Asked:
    """Run a statement once it is sure that it only reads.

    Args:
        graph: the graph.
        text: what a person wrote.
        parameters: its parameters.
        limit: the most rows to return.
        seconds: how long the server may take.

    Raises:
        InputError: as `check`.
        TooSlowError: it takes longer.
        TooLargeError: it needs more memory than the server gives one.
    """
    statement, _ = check(graph, text, seconds)
    picture = Picture()
    answer = graph.look(statement, parameters, min(limit, MOST_ROWS), seconds=seconds, see=picture.see)
    return Asked(answer, picture)


def _called(text: str) -> Iterator[str]:
    """Names with a dot that are called: as the text has them, and as it has them once its escapes are decoded.

    Where the server decodes them depends on the language's version, and decoded quotes begin and end strings elsewhere.
    """
    for read in {text, _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)}:
        name, is_open = "", False  # what was read of a name with dots, and whether a dot was last
        for token in _TOKEN.finditer(read):
            if token["blank"]:
                continue
            if token["name"]:
                name, is_open = (name if is_open else "") + token["name"].strip("`"), False
            elif token["sign"] == "." and name and not is_open:
                name, is_open = f"{name}.", True
            else:
                if token["sign"] == "(" and "." in name and not is_open:
                    yield name
                name, is_open = "", False


def _refused(why: str) -> NotReadOnlyError:
    return NotReadOnlyError(
        f"the statement may only read the graph, but {why}",
        cure="Use MATCH and RETURN; commands and jobs change the graph",
    )
