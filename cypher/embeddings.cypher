// Vectors of nodes, and what is near by them. Every statement here is written for the label Intent and the embedding
// `lexical_64`, which needs no model and whose index is in the schema; `cikg.graph.vectors` puts another label and
// embedding in their place, since Cypher takes neither the name of an index nor a label of one as a parameter.
//
// The index spans all datasets and is filtered by dataset within the search. It is approximate: it misses a few
// neighbours in a hundred, never invents one, and gives exact cosines. Its score is (1 + cosine) / 2.

// == Intents

// name: near_duplicate_intents(dataset, threshold, neighbours) -> many
// Pairs of intents whose vectors have at least this cosine, the nearest first. An intent is compared with so many nearest
// ones. Needs the embedding lexical_64 of intents.
// Cost: global; one pass over the dataset's intents, with one search of the vector index each.
MATCH (intent:Intent {dataset: $dataset})
WHERE intent.merged_into IS NULL
CALL (intent) {
  MATCH (other:Intent)
    SEARCH other IN (
      VECTOR INDEX intent_lexical_64 FOR intent.embedding_lexical_64 WHERE other.dataset = $dataset LIMIT $neighbours + 1
    ) SCORE AS score
  WHERE other <> intent AND other.merged_into IS NULL AND 2 * score - 1 >= $threshold
  RETURN other, 2 * score - 1 AS cosine
}
WITH CASE WHEN intent.id < other.id THEN [intent, other] ELSE [other, intent] END AS pair, max(cosine) AS cosine
RETURN pair[0].id AS intent, pair[0].name AS name, pair[1].id AS other, pair[1].name AS other_name, cosine
ORDER BY cosine DESC, intent, other

// name: nearest_intents(dataset, intent, limit) -> many
// The intents nearest to one, with their cosines. Needs the embedding lexical_64 of intents.
// Cost: local; one look-up by key and one search of the vector index, which is asked for twice as many so that intents
// that were merged away can be left out.
MATCH (intent:Intent {uid: $dataset + ':' + $intent})
CALL (intent) {
  MATCH (other:Intent)
    SEARCH other IN (
      VECTOR INDEX intent_lexical_64 FOR intent.embedding_lexical_64 WHERE other.dataset = $dataset LIMIT 2 * $limit + 1
    ) SCORE AS score
  WHERE other <> intent AND other.merged_into IS NULL
  RETURN other, 2 * score - 1 AS cosine
}
RETURN other.id AS id, other.name AS name, cosine ORDER BY cosine DESC, id LIMIT $limit

// ==

// name: nearest_nodes(dataset, vector, limit) -> many
// The nodes of one label nearest to a vector, those that were merged into others included and marked. One search of the
// index.
MATCH (node:Intent)
  SEARCH node IN (
    VECTOR INDEX intent_lexical_64 FOR $vector WHERE node.dataset = $dataset LIMIT $limit
  ) SCORE AS score
RETURN node.uid AS uid, node.id AS id, node.name AS name, 2 * score - 1 AS cosine,
       node.merged_into IS NOT NULL AS merged
ORDER BY cosine DESC, uid

// name: near_nodes(dataset, uids, threshold, limit) -> many
// For some nodes, which of their `limit` nearest have at least this cosine, and whether there may be more of them. Keys:
// the nodes' uids, then one search of the index a node.
UNWIND $uids AS uid
MATCH (node:Intent {uid: uid})
CALL (node) {
  MATCH (other:Intent)
    SEARCH other IN (
      VECTOR INDEX intent_lexical_64 FOR node.embedding_lexical_64 WHERE other.dataset = $dataset LIMIT $limit
    ) SCORE AS score
  RETURN collect({uid: other.uid, merged: other.merged_into IS NOT NULL, cosine: 2 * score - 1}) AS found
}
RETURN uid, [one IN found WHERE one.uid <> uid AND NOT one.merged AND one.cosine >= $threshold] AS near,
       size(found) = $limit AND all(one IN found WHERE one.cosine >= $threshold) AS more
ORDER BY uid

// name: embedded_nodes(dataset) -> many
// The nodes of one label that have a vector and stand for themselves. Key: the dataset.
MATCH (node:Intent {dataset: $dataset})
WHERE node.embedded_lexical_64 IS NOT NULL AND node.merged_into IS NULL
RETURN node.uid AS uid ORDER BY uid

// name: node_texts(dataset, after, limit) -> many
// What there is to embed of nodes of one label, in the order of their keys from one key on, and a digest of what their
// vectors were made from. Nodes that were merged into others have no say. Key: the uid, from which a page begins.
MATCH (node:Intent)
WHERE node.uid > $after AND node.uid STARTS WITH $dataset + ':' AND node.merged_into IS NULL
RETURN node.uid AS uid, node.name AS name, node.text AS text, node.embedded_lexical_64 AS embedded
ORDER BY uid LIMIT $limit

// name: write_vectors(dataset, rows) -> none
// Put vectors on nodes of one label, each with a digest of what it was made from: {uid, vector, input}. Keys: the
// dataset's, whose version counts the change, and the nodes' uids.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.version = coalesce(dataset.version, 0) + 1
WITH dataset
UNWIND $rows AS row
MATCH (node:Intent {uid: row.uid})
SET node.embedded_lexical_64 = row.input
WITH node, row
CALL db.create.setNodeVectorProperty(node, 'embedding_lexical_64', row.vector)
FINISH

// name: clear_vectors(dataset, limit) -> many
// Take the vectors off some nodes of one label and return how many; 0 when none is left. Key: the dataset.
MATCH (node:Intent {dataset: $dataset})
WHERE node.embedded_lexical_64 IS NOT NULL
WITH node LIMIT $limit
REMOVE node.embedded_lexical_64, node.embedding_lexical_64
RETURN count(*) AS cleared

// name: create_vector_index(options) -> none
// Make the index of one label and embedding, where there is none. Returns before it is filled; `await_indexes` waits.
CREATE VECTOR INDEX intent_lexical_64 IF NOT EXISTS FOR (node:Intent) ON node.embedding_lexical_64
WITH [node.dataset] OPTIONS $options

// name: drop_index(name) -> none
// Remove an index by its name; without one, nothing happens. What it held can be made again from the nodes.
DROP INDEX $name IF EXISTS

// name: dataset_embeddings(dataset) -> many
// Which of its labels a dataset has vectors for, as label/embedding; no row without such a dataset. One look-up by key.
MATCH (dataset:Dataset {uid: $dataset})
RETURN coalesce(dataset.embeddings, []) AS embeddings

// name: all_embeddings() -> many
// The labels and embeddings that any dataset has vectors for. Scan: Dataset, which has one node a dataset.
MATCH (dataset:Dataset)
UNWIND dataset.embeddings AS embedding
RETURN embedding, collect(dataset.uid) AS datasets ORDER BY embedding

// name: list_embeddings(dataset, added, removed) -> none
// Say which vectors of a dataset are whole, as label/embedding. Key: the dataset's.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.version = coalesce(dataset.version, 0) + 1,
    dataset.embeddings = COLLECT {
      UNWIND coalesce(dataset.embeddings, []) + $added AS embedding
      WITH DISTINCT embedding WHERE NOT embedding IN $removed
      RETURN embedding ORDER BY embedding
    }

// name: count_texts(dataset) -> one
// How many nodes of one label there are, to show progress. Key: the dataset.
MATCH (node:Intent {dataset: $dataset})
WHERE node.merged_into IS NULL
RETURN count(node) AS nodes, count(node.embedded_lexical_64) AS embedded
