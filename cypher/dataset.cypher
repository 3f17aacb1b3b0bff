// The datasets themselves.

// name: find_dataset(dataset) -> many
// The dataset's own node, or no row. One look-up by key.
MATCH (dataset:Dataset {uid: $dataset})
RETURN properties(dataset) AS dataset

// name: datasets() -> many
// All datasets by name. Scan: Dataset, which has one node a dataset.
MATCH (dataset:Dataset)
RETURN properties(dataset) AS dataset
ORDER BY dataset.uid

// name: begin_drop(dataset) -> none
// Marks a dataset as half gone: without a fingerprint, only a replacing import goes on. One look-up by key.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.state = 'importing', dataset.version = dataset.version + 1
REMOVE dataset.fingerprint

// name: drop_nodes(dataset, size) -> many
// Deletes some of a dataset's nodes with their edges and returns how many; 0 when none is left. The dataset's own node
// stays, and so do the LLM's answers, which were paid for and are found again by what was asked. Costs the edges deleted.
MATCH (node:User|Item|Entity|Intent|Interest|Subject|Model|Run {dataset: $dataset})
WITH node LIMIT $size
DETACH DELETE node
RETURN count(*) AS dropped
