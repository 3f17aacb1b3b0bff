// The datasets themselves.

// name: find_dataset(dataset) -> many
// The dataset's own node, or no row. One look-up by key.
MATCH (dataset:Dataset {uid: $dataset})
RETURN properties(dataset) AS dataset

// name: begin_drop(dataset) -> none
// Marks a dataset as half gone: without a fingerprint, only a replacing import or another drop goes on. One look-up by
// key.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.state = 'dropping', dataset.version = coalesce(dataset.version, 0) + 1
REMOVE dataset.fingerprint

// name: count_nodes(dataset) -> one
// How many nodes `drop_nodes` would delete in all. Counts index ranges.
RETURN COUNT { MATCH (:User {dataset: $dataset}) } + COUNT { MATCH (:Item {dataset: $dataset}) }
       + COUNT { MATCH (:Entity {dataset: $dataset}) } + COUNT { MATCH (:Intent {dataset: $dataset}) }
       + COUNT { MATCH (:Interest {dataset: $dataset}) } + COUNT { MATCH (:Profile {dataset: $dataset}) }
       + COUNT { MATCH (:Subject {dataset: $dataset}) } + COUNT { MATCH (:Model {dataset: $dataset}) }
       + COUNT { MATCH (:Run {dataset: $dataset}) } AS nodes

// name: drop_nodes(dataset, size) -> many
// Deletes some of a dataset's nodes with their edges and returns how many; 0 when none is left. The dataset's own node
// stays, and so do the LLM's answers, which were paid for and are found again by what was asked. Costs the edges deleted.
CALL () {
  MATCH (node:User {dataset: $dataset}) RETURN node
  UNION ALL MATCH (node:Item {dataset: $dataset}) RETURN node
  UNION ALL MATCH (node:Entity {dataset: $dataset}) RETURN node
  UNION ALL MATCH (node:Intent {dataset: $dataset}) RETURN node
  UNION ALL MATCH (node:Interest {dataset: $dataset}) RETURN node
  UNION ALL MATCH (node:Profile {dataset: $dataset}) RETURN node
  UNION ALL MATCH (node:Subject {dataset: $dataset}) RETURN node
  UNION ALL MATCH (node:Model {dataset: $dataset}) RETURN node
  UNION ALL MATCH (node:Run {dataset: $dataset}) RETURN node
}
WITH node LIMIT $size
DETACH DELETE node
RETURN count(*) AS dropped
