// name: intent_holders(dataset) -> many
// Who holds which intent, by what run, and on what evidence: all that clustering looks at. One row a user.
MATCH (user:User {dataset: $dataset})-[edge:POSSESSES]->(intent:Intent) WHERE edge.pruned_by IS NULL
WITH user, edge, intent ORDER BY intent.uid, edge.run
RETURN user.uid AS user,
       collect({intent: intent.uid, name: intent.name, completion: edge.completion, evidence: edge.evidence}) AS intents
ORDER BY user

// name: clustering_runs(dataset) -> many
// The runs that made the interests which the graph holds now: one row after any clustering, none before.
MATCH (interest:Interest {dataset: $dataset, source: 'extracted'})
RETURN DISTINCT interest.run AS run

// name: held_interests(dataset) -> many
// The interests that clustering made, the most held first, with the number of users that have each. One pass over them.
MATCH (interest:Interest {dataset: $dataset, source: 'extracted'})
RETURN interest.name AS name, COUNT { (interest)<-[held:HAS_INTEREST]-() WHERE held.pruned_by IS NULL } AS users
ORDER BY users DESC, name

// name: clear_interests(dataset, kept) -> none
// Take back what an earlier clustering wrote: its edges, and its interests but for those that stay under the same key.
// First step of the transaction that writes the new ones, whose commit counts the dataset's version. Key: the dataset.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.version = coalesce(dataset.version, 0) + 1, dataset.interests = 'extracted'
WITH dataset
MATCH (interest:Interest {dataset: $dataset, source: 'extracted'})
CALL (interest) {
  MATCH (interest)<-[old:MEMBER_OF|HAS_INTEREST]-()
  DELETE old
}
WITH interest
WHERE NOT interest.uid IN $kept
DETACH DELETE interest

// name: write_interests(dataset, run, rows) -> none
// Write interests and what belongs to them. Rows: {uid, id, name, intents: [uid]}. Key: Interest.uid.
UNWIND $rows AS row
MERGE (interest:Interest {uid: row.uid})
SET interest.dataset = $dataset, interest.id = row.id, interest.name = row.name, interest.source = 'extracted',
    interest.run = $run
WITH interest, row
UNWIND row.intents AS uid
MATCH (intent:Intent {uid: uid})
MERGE (intent)-[edge:MEMBER_OF]->(interest)
SET edge.run = $run

// name: write_holders(run, rows) -> none
// Say which users have an interest, and on what evidence. Rows: {user, interest, completion, evidence}, by uid.
UNWIND $rows AS row
MATCH (user:User {uid: row.user})
MATCH (interest:Interest {uid: row.interest})
MERGE (user)-[edge:HAS_INTEREST]->(interest)
SET edge.run = $run, edge.completion = row.completion, edge.evidence = row.evidence

// name: record_run(run, properties) -> none
// Note a run that began and ended in this transaction. Key: the run's uid.
MERGE (run:Run {uid: $run})
ON CREATE SET run.created_at = datetime()
SET run += $properties, run.state = 'done', run.started_at = run.created_at, run.finished_at = datetime()
