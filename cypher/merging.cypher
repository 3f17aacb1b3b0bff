// Intents that mean the same. A judgement on two intents is one SAME_AS edge from the one that goes to the one that
// stays, with state 'proposed', 'rejected', 'merged' or 'undone', the method and score that led to it, and the history
// of who decided what. An intent that was merged stays as a node with `merged_into`, so that it can be brought back;
// its edges are the other's, and each says in `merged_from` over which intents it came, the latest last.

// name: intent_names(dataset) -> many
// All intents that stand for themselves, with how many users and items have each. Costs the dataset's intents' degrees.
MATCH (intent:Intent {dataset: $dataset}) WHERE intent.merged_into IS NULL
RETURN intent.uid AS uid, intent.id AS id, intent.name AS name,
       COUNT { (intent)<-[:POSSESSES|SATISFIES]-() } AS edges
ORDER BY uid

// name: propose_merges(dataset, rows) -> one
// Write proposals {intent, into, method, score, entry}, by uid, and return how many were new. A pair that was ever
// judged, either way round, is left alone. Two look-ups by key a row.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.state = dataset.state
WITH dataset
UNWIND $rows AS row
MATCH (intent:Intent {uid: row.intent}), (into:Intent {uid: row.into})
WHERE NOT EXISTS { (intent)-[:SAME_AS]-(into) }
CREATE (intent)-[:SAME_AS {state: 'proposed', method: row.method, score: row.score, history: [row.entry]}]->(into)
RETURN count(*) AS proposed

// name: intents_ever(dataset) -> many
// All intents, those that were merged into others as well, with their names.
MATCH (intent:Intent {dataset: $dataset})
RETURN intent.id AS id, coalesce(intent.name, intent.id) AS name ORDER BY id

// name: propose_alignments(dataset, run, job, lease, rows) -> none
// Write the proposals {intents, pairs: [{intent, into}]} of a model about batches of intents, with the answer that each comes
// from. What the job proposed before about a batch and nobody decided on goes; a pair that was ever judged, either way
// round, is left alone. Two look-ups by key a pair. The dataset is locked first; nothing that training reads changes.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.state = dataset.state
WITH dataset
MATCH (earlier:Run {dataset: $dataset, kind: 'extract', name: $job})
WITH collect(earlier.uid) AS runs
UNWIND $rows AS row
MATCH (:Subject {uid: row.subject, lease: $lease})
CALL (runs, row) {
  UNWIND runs AS other
  MATCH (replaced:Subject {uid: other + substring(row.subject, size($run))}) WHERE other <> $run
  SET replaced.state = 'cancelled', replaced.error = 'replaced by ' + $run
}
CALL (runs, row) {
  UNWIND row.intents AS uid
  MATCH (:Intent {uid: uid})-[same:SAME_AS {state: 'proposed'}]->(:Intent) WHERE same.run IN runs
  DELETE same
}
WITH row
UNWIND row.pairs AS pair
MATCH (intent:Intent {uid: pair.intent}), (into:Intent {uid: pair.into})
WHERE NOT EXISTS { (intent)-[:SAME_AS]-(into) }
CREATE (intent)-[:SAME_AS {
  state: 'proposed', method: 'llm', score: 1.0, run: $run, completion: row.completion,
  history: [toString(datetime.truncate('second', datetime())) + ' proposed by ' + $run + ' (llm)']
}]->(into)

// name: merge_pairs(dataset, states) -> many
// Pairs of intents in one of these states, the likeliest first, with the number of users and items that have each. A
// proposal waits for a verdict only while neither was merged. Costs the dataset's intents and the degrees of those that are
// paired.
MATCH (intent:Intent {dataset: $dataset})-[same:SAME_AS]->(into:Intent)
WHERE same.state IN $states
  AND (same.state <> 'proposed' OR (intent.merged_into IS NULL AND into.merged_into IS NULL))
RETURN intent.id AS intent, intent.name AS name, into.id AS into, into.name AS into_name, same.state AS state,
       same.method AS method, same.score AS score, same.history AS history,
       COUNT { (intent)<-[:POSSESSES|SATISFIES]-() } AS edges, COUNT { (into)<-[:POSSESSES|SATISFIES]-() } AS into_edges
ORDER BY score DESC, intent, into

// name: intent_for_merging(dataset, ids) -> many
// What stands in the way of merging these intents: those that they were merged into. One look-up by key an id.
UNWIND $ids AS id
MATCH (intent:Intent {uid: $dataset + ':' + id})
OPTIONAL MATCH (survivor:Intent {uid: intent.merged_into})
RETURN intent.id AS id, intent.name AS name, intent.merged_into AS merged_into, survivor.id AS survivor,
       survivor.merged_into AS survivor_merged_into

// name: merge_intent(dataset, intent, into, method, score, entry) -> many
// Give an intent's edges to another one that means the same; returns how many. No row where either was merged in the
// meantime. Two look-ups by key, then the edges of the intent that goes.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.version = coalesce(dataset.version, 0) + 1
WITH dataset
MATCH (intent:Intent {uid: $intent}), (into:Intent {uid: $into})
WHERE intent.merged_into IS NULL AND into.merged_into IS NULL AND intent <> into
SET intent.merged_into = into.uid
MERGE (intent)-[same:SAME_AS]->(into)
SET same.state = 'merged', same.method = coalesce($method, same.method, 'manual'),
    same.score = coalesce($score, same.score), same.history = coalesce(same.history, []) + $entry
WITH intent, into
CALL (intent, into) {
  MATCH (owner:User|Item)-[old:POSSESSES|SATISFIES]->(intent)
  CREATE (owner)-[edge:$(type(old))]->(into)
  SET edge = properties(old), edge.merged_from = coalesce(old.merged_from, []) + intent.uid
  DELETE old
  RETURN count(*) AS moved
}
CALL (intent, into) {
  MATCH (intent)-[old:MEMBER_OF]->(interest:Interest)
  CREATE (into)-[edge:MEMBER_OF]->(interest)
  SET edge = properties(old), edge.merged_from = coalesce(old.merged_from, []) + intent.uid
  DELETE old
  RETURN count(*) AS memberships
}
RETURN moved, memberships

// name: unmerge_intent(dataset, intent, entry) -> many
// Give an intent back the edges that came from it; returns how many. No row where it is not merged, or the one that has
// its edges was merged itself. Two look-ups by key, then the edges of the intent that stayed.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.version = coalesce(dataset.version, 0) + 1
WITH dataset
MATCH (intent:Intent {uid: $intent})-[same:SAME_AS {state: 'merged'}]->(into:Intent)
WHERE intent.merged_into = into.uid AND into.merged_into IS NULL
SET intent.merged_into = null, same.state = 'undone', same.history = same.history + $entry
WITH intent, into
CALL (intent, into) {
  MATCH (owner:User|Item)-[old:POSSESSES|SATISFIES]->(into)
  WHERE old.merged_from[-1] = intent.uid
  CREATE (owner)-[edge:$(type(old))]->(intent)
  SET edge = properties(old),
      edge.merged_from = CASE WHEN size(old.merged_from) > 1 THEN old.merged_from[..-1] END
  DELETE old
  RETURN count(*) AS moved
}
CALL (intent, into) {
  MATCH (into)-[old:MEMBER_OF]->(interest:Interest)
  WHERE old.merged_from[-1] = intent.uid
  CREATE (intent)-[edge:MEMBER_OF]->(interest)
  SET edge = properties(old),
      edge.merged_from = CASE WHEN size(old.merged_from) > 1 THEN old.merged_from[..-1] END
  DELETE old
  RETURN count(*) AS memberships
}
RETURN moved, memberships

// name: settle_corrections(intents) -> none
// Let what people said hold for all edges of a user or an item to one intent, of which a merge makes several: where one is
// corrected, the others are pruned along with it (`pruned_along`), by the same person for the same reason; where none is any
// more, these stand again. Likewise a user's interests to which intents lead: corrected ones and no other. This depends on
// what is there alone, so that merges and their undoing may come in any order, and twice. It is for users and items of these
// intents, by uid, that something was corrected about, and counts where anything changed. Cost: the edges of the intents,
// then those of the few.
UNWIND $intents AS uid
MATCH (:Intent {uid: uid})<-[:POSSESSES|SATISFIES]-(node:User|Item) WHERE node.corrected > 0
WITH DISTINCT node
CALL (node) {
  MATCH (node)-[edge:POSSESSES|SATISFIES]->(intent:Intent)
  WITH intent, edge ORDER BY edge.pruned_by, edge.pruned_reason
  WITH intent, collect(edge) AS edges
  WITH edges, head([one IN edges WHERE one.pruned_by STARTS WITH 'person:' AND one.pruned_along IS NULL]) AS said
  UNWIND edges AS edge
  WITH edge, said, (edge.pruned_by IS NULL) <> (said IS NULL) AS turns
  WHERE edge.pruned_by IS NULL OR edge.pruned_along
  SET edge.pruned_by = said.pruned_by, edge.pruned_reason = said.pruned_reason,
      edge.pruned_along = CASE WHEN said IS NOT NULL THEN true END
  RETURN count(CASE WHEN turns THEN 1 END) AS intents
}
CALL (node) {
  MATCH (node)-[edge:HAS_INTEREST]->(interest:Interest) WHERE edge.pruned_by IS NULL OR edge.pruned_along
  OPTIONAL MATCH (node)-[has:POSSESSES]->(:Intent)-[:MEMBER_OF]->(interest)
  WHERE has.pruned_by IS NULL OR has.pruned_by STARTS WITH 'person:'
  WITH edge, has ORDER BY has.pruned_by, has.pruned_reason
  WITH edge, collect(has) AS found
  WITH edge, CASE WHEN none(one IN found WHERE one.pruned_by IS NULL) THEN head(found) END AS said
  WITH edge, said, (edge.pruned_by IS NULL) <> (said IS NULL) AS turns
  SET edge.pruned_by = said.pruned_by, edge.pruned_reason = said.pruned_reason,
      edge.pruned_along = CASE WHEN said IS NOT NULL THEN true END
  RETURN count(CASE WHEN turns THEN 1 END) AS interests
}
WITH node WHERE intents + interests > 0
SET node.corrected = node.corrected + 1

// name: reject_merge(dataset, intent, into, entry) -> many
// Note that two intents differ, so that they are not proposed again; returns the pair. Three look-ups by key.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.state = dataset.state
WITH dataset
MATCH (intent:Intent {uid: $intent}), (into:Intent {uid: $into})
WHERE intent.merged_into IS NULL
MERGE (intent)-[same:SAME_AS]->(into)
SET same.state = 'rejected', same.method = coalesce(same.method, 'manual'),
    same.history = coalesce(same.history, []) + $entry
RETURN intent.id AS intent, into.id AS into
