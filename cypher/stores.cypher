// What PyG's loaders read: the edges of some nodes at a time, and vectors of single nodes. As in export.cypher, edges come
// as equally long lists, and nodes are named by the database's internal numbers while a dataset's version stays.

// name: node_ids(nodes) -> many
// Ids of some nodes.
UNWIND $nodes AS number
MATCH (node) WHERE id(node) = number
RETURN collect(number) AS nodes, collect(node.id) AS ids

// name: sources_of(nodes, never) -> many
// Where the edges that lead to some nodes come from, a row a type and label. Of interactions only those to train on; no
// pruned edges; no merged intents. The second parameter stands for a missing time. Costs the nodes' edges.
UNWIND $nodes AS number
MATCH (node) WHERE id(node) = number
MATCH (node)<-[edge:!RECOMMENDED]-(other:User|Item|Entity|Intent|Interest)
WHERE edge.pruned_by IS NULL AND other.merged_into IS NULL
  AND (edge:INTERACTED AND edge.split = 'train' OR edge:POSSESSES|SATISFIES|MEMBER_OF|HAS_INTEREST
    OR edge.relation IS NOT NULL)
RETURN type(edge) AS type, head(labels(other)) AS label,
       collect(number) AS targets, collect(id(other)) AS sources, collect(coalesce(edge.at, $never)) AS times

// name: targets_of(nodes, never) -> many
// The same of the edges that come from some nodes: these are `targets` and the other ends `sources`, as of an edge that
// leads the other way.
UNWIND $nodes AS number
MATCH (node) WHERE id(node) = number
MATCH (node)-[edge:!RECOMMENDED]->(other:User|Item|Entity|Intent|Interest)
WHERE edge.pruned_by IS NULL AND other.merged_into IS NULL
  AND (edge:INTERACTED AND edge.split = 'train' OR edge:POSSESSES|SATISFIES|MEMBER_OF|HAS_INTEREST
    OR edge.relation IS NOT NULL)
RETURN type(edge) AS type, head(labels(other)) AS label,
       collect(number) AS targets, collect(id(other)) AS sources, collect(coalesce(edge.at, $never)) AS times

// name: vectors_of(uids, property) -> many
// The vector of each node of a list that has one, with its place in the list; a look-up by key each. Written for items,
// and used for every label: see `written_for` in cikg/graph/pyg/stores.py.
UNWIND range(0, size($uids) - 1) AS place
MATCH (node:Item {uid: $uids[place]})
WHERE node[$property] IS NOT NULL
RETURN place, node[$property] AS vector

// name: profile_vectors_of(uids, property) -> many
// The same of the nodes' profiles: that of the latest round, and of several the one whose id is the last: texts, which are null as
// numbers, come after all numbers.
UNWIND range(0, size($uids) - 1) AS place
MATCH (node:Item {uid: $uids[place]})
CALL (node) {
  MATCH (node)<-[describes:DESCRIBES]-(profile:Profile)
  WHERE describes.pruned_by IS NULL
  RETURN profile
  ORDER BY coalesce(describes.round, 0) DESC, CASE WHEN profile.id =~ '[0-9]+' THEN toInteger(profile.id) END DESC,
    profile.id DESC
  LIMIT 1
}
WITH place, profile WHERE profile[$property] IS NOT NULL
RETURN place, profile[$property] AS vector
