// name: intent_holders(dataset) -> many
// Who holds which intent, by what run, and on what evidence: all that clustering looks at. One row a user.
MATCH (user:User {dataset: $dataset})-[edge:POSSESSES]->(intent:Intent) WHERE edge.pruned_by IS NULL
WITH user, edge, intent ORDER BY intent.uid, edge.run, edge.completion, edge.evidence
RETURN user.uid AS user,
       collect({intent: intent.uid, name: intent.name, completion: edge.completion, evidence: edge.evidence}) AS intents
ORDER BY user

// name: clustering_runs(dataset) -> many
// The runs that made the interests which users have now: one row after any clustering, none before.
MATCH (interest:Interest {dataset: $dataset, source: 'extracted'})
WHERE EXISTS { (interest)<-[held:HAS_INTEREST]-() WHERE held.pruned_by IS NULL }
RETURN DISTINCT interest.run AS run

// name: held_interests(dataset) -> many
// The interests that clustering made and users have, the most held first, with the number of these. One pass over them.
MATCH (interest:Interest {dataset: $dataset, source: 'extracted'})
WITH interest, COUNT { (interest)<-[held:HAS_INTEREST]-() WHERE held.pruned_by IS NULL } AS users WHERE users > 0
RETURN interest.name AS name, users
ORDER BY users DESC, name

// name: clear_interests(dataset, version, kept) -> many
// Take back what an earlier clustering wrote: its edges, and its interests but for those that stay under the same key. What
// a person said somebody has not stays, with its interest, as long as any of its evidence is in train: models that were
// trained before know that interest. First step of the transaction that writes the new ones, whose commit counts the
// version. No row where the dataset is not whole or was changed since this version. Key: the dataset.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.state = dataset.state
WITH dataset WHERE dataset.state = 'ready' AND coalesce(dataset.version, 0) = $version
SET dataset.version = $version + 1, dataset.interests = 'extracted'
WITH dataset
CALL () {
  MATCH (interest:Interest {dataset: $dataset, source: 'extracted'})
  CALL (interest) {
    MATCH (interest)<-[old:MEMBER_OF|HAS_INTEREST]-(node)
    WITH old, COLLECT {
      MATCH (node)-[:INTERACTED {split: 'train'}]->(item:Item)
      WHERE old.pruned_by STARTS WITH 'person:' AND old.pruned_along IS NULL AND item.id IN old.evidence
      RETURN item.id ORDER BY item.id
    } AS shown
    FOREACH (stays IN CASE shown WHEN [] THEN [] ELSE [old] END | SET stays.evidence = shown)
    FOREACH (goes IN CASE shown WHEN [] THEN [old] ELSE [] END | DELETE goes)
  }
  WITH interest
  WHERE NOT interest.uid IN $kept AND NOT EXISTS { (interest)<-[:HAS_INTEREST]-() }
  DETACH DELETE interest
}
RETURN dataset.version AS version

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
// Say which users have an interest, and on what evidence; one that is corrected stays so. Rows: {user, interest, completion,
// evidence}, by uid.
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
