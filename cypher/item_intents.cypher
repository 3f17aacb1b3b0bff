// What jobs about items read and write.

// name: dataset_items(dataset) -> many
// The items of a dataset, in the order of their ids. Key: the dataset.
MATCH (item:Item {dataset: $dataset})
RETURN item.id AS item ORDER BY item

// name: intents_near_items(dataset, uids, limit) -> many
// For some items, the ids and names of the intents nearest to them that they have not from the first round, the nearest
// first. One that was pruned is not offered again. Written for lexical_64 of items and intents (see embeddings.cypher). Keys: the
// items' uids, then one search of the index an item, for twice as many so that some can be left out.
UNWIND $uids AS uid
MATCH (item:Item {uid: uid})
WHERE item.embedding_lexical_64 IS NOT NULL
CALL (item) {
  MATCH (intent:Intent)
    SEARCH intent IN (
      VECTOR INDEX intent_lexical_64 FOR item.embedding_lexical_64 WHERE intent.dataset = $dataset LIMIT 2 * $limit
    ) SCORE AS score
  WHERE intent.merged_into IS NULL
    AND NOT EXISTS { MATCH (item)-[known:SATISFIES]->(intent) WHERE known.round = 1 OR known.pruned_by IS NOT NULL }
  WITH intent, score ORDER BY score DESC, intent.uid LIMIT $limit
  RETURN collect({id: intent.id, name: coalesce(intent.name, intent.id)}) AS intents
}
RETURN item.id AS id, intents ORDER BY id

// name: relate_by(dataset, embedding) -> none
// Note the embedding in which candidates for related intents are looked for. Key: the dataset's.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.related_by = $embedding

// name: related_by(dataset) -> one
// The embedding in which candidates for related intents are looked for. Key: the dataset's.
MATCH (dataset:Dataset {uid: $dataset})
RETURN coalesce(dataset.related_by, 'lexical_64') AS embedding

// name: replace_item_intents(dataset, run, job, lease, rows) -> none
// Replace the intents that a job found of items by what it finds now; other jobs' edges stay. A row says its round. Keys: the items' and
// intents' uids, and for an edge its run. As in `replace_user_intents`, which explains them, the dataset is locked and
// counted first, a merged intent gives its edges to the one it was merged into, and an intent that nobody has any more
// and nobody judged is removed. A user's and an item's intent of one phrase are the same node: that is what connects them.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.version = coalesce(dataset.version, 0) + 1
WITH dataset
MATCH (earlier:Run {dataset: $dataset, kind: 'extract', name: $job})
WITH collect(earlier.uid) AS runs
CALL (runs) {
  UNWIND $rows AS row
  MATCH (:Subject {uid: row.subject, lease: $lease})
  MATCH (item:Item {uid: row.target})
  UNWIND runs AS other
  OPTIONAL MATCH (replaced:Subject {uid: other + '/' + item.id})
  WHERE other <> $run
  SET replaced.state = 'cancelled', replaced.error = 'replaced by ' + $run
  WITH DISTINCT item, runs
  MATCH (item)-[old:SATISFIES]->(intent:Intent)
  WHERE old.run IN runs
  WITH item, intent, old, CASE WHEN old.pruned_by IS NOT NULL THEN properties(old) END AS was
  DELETE old
  RETURN collect(DISTINCT intent) AS loose,
         collect(CASE WHEN was IS NOT NULL THEN {item: item.uid, intent: intent.uid, was: was} END) AS pruned
}
CALL (pruned) {
  UNWIND $rows AS row
  MATCH (:Subject {uid: row.subject, lease: $lease})
  MATCH (item:Item {uid: row.target})
  UNWIND row.intents AS found
  MERGE (intent:Intent {uid: found.uid})
  ON CREATE SET intent.dataset = $dataset, intent.id = found.id, intent.name = found.name
  SET intent.name = CASE WHEN found.name < intent.name THEN found.name ELSE intent.name END
  WITH item, row, found, intent
  MATCH merged = (intent) (()-[same:SAME_AS WHERE same.state = 'merged']->())* (standing:Intent)
  WHERE standing.merged_into IS NULL
  WITH item, row, found, standing, [one IN nodes(merged)[..-1] | one.uid] AS over,
       [each IN pruned WHERE each.item = item.uid AND each.intent = standing.uid | each.was] + COLLECT {
         MATCH (item)-[said:SATISFIES]->(standing) WHERE said.pruned_by STARTS WITH 'person:' RETURN properties(said)
       } AS befores
  WITH item, row, found, standing, over, befores,
       head([was IN befores WHERE coalesce(was.merged_from, []) = over]) AS same
  WITH item, row, found, standing, over, same, coalesce(same, head(befores)) AS before
  CREATE (item)-[edge:SATISFIES {run: $run}]->(standing)
  SET edge.completion = row.completion, edge.round = row.round, edge.evidence = found.evidence,
      edge.merged_from = CASE WHEN over <> [] THEN over END,
      edge.pruned_by = before.pruned_by, edge.pruned_reason = before.pruned_reason,
      edge.pruned_along = CASE WHEN same IS NULL AND before.pruned_by STARTS WITH 'person:' THEN true
                               ELSE before.pruned_along END
  RETURN count(*) AS written
}
CALL (pruned) {
  UNWIND pruned AS before
  MATCH (item:Item {uid: before.item}), (intent:Intent {uid: before.intent})
  WHERE NOT EXISTS {
    (item)-[now:SATISFIES]->(intent)
    WHERE now.run = $run AND coalesce(now.merged_from, []) = coalesce(before.was.merged_from, [])
  }
  CREATE (item)-[edge:SATISFIES]->(intent)
  SET edge = before.was
  RETURN count(*) AS kept
}
UNWIND loose AS intent
WITH DISTINCT intent
WHERE NOT EXISTS { (intent)<-[:POSSESSES|SATISFIES]-() }
  AND NOT EXISTS { (intent)-[same:SAME_AS]-() WHERE same.state <> 'proposed' }
DETACH DELETE intent
