// Answers of a language model that were made elsewhere and are imported: each becomes a Completion, and a Profile that
// describes a user or an item. They name no evidence.

// name: answered_nodes(dataset, label, rows) -> many
// Which users or items (`label`) of {id, profile} there are, and the answer that the profile of each stands on, if it is
// still kept. Keys: the uids of the nodes, their profiles and answers.
UNWIND $rows AS row
MATCH (node:User|Item {uid: $dataset + ':' + row.id})
WHERE $label IN labels(node)
OPTIONAL MATCH (profile:Profile {uid: row.profile})-[describes:DESCRIBES]->(node)
OPTIONAL MATCH (completion:Completion {uid: describes.completion})
RETURN row.id AS id, completion.uid AS completion

// name: begin_answers(run, properties) -> none
// Open the run of an import of answers, or open it again. Key: the run's uid.
MERGE (run:Run {uid: $run})
ON CREATE SET run.created_at = datetime()
SET run += $properties, run.state = 'running', run.started_at = datetime(), run.finished_at = null, run.error = null

// name: write_answers(dataset, run, label, model, source, rows) -> one
// Keep answers, and let each be the text of a profile: {target, completion, completion_id, profile, profile_id, text}, by
// uids. Returns how many users or items (`label`) there were. A profile has one edge: that of another answer goes. The
// dataset is written first: its lock makes writers take turns, and its version tells readers that the graph changed.
MATCH (dataset:Dataset {uid: $dataset, state: 'ready'})
SET dataset.version = coalesce(dataset.version, 0) + 1
WITH dataset
UNWIND $rows AS row
MATCH (node:User|Item {uid: row.target})
WHERE $label IN labels(node)
MERGE (completion:Completion {uid: row.completion})
ON CREATE SET completion.dataset = $dataset, completion.id = row.completion_id, completion.created_at = datetime(),
              completion.run = $run, completion.model = $model, completion.prompt = 'imported',
              completion.prompt_version = 1, completion.source = $source, completion.status = 'valid',
              completion.prompt_tokens = 0, completion.completion_tokens = 0, completion.cost = 0.0,
              completion.text = row.text
MERGE (profile:Profile {uid: row.profile})
SET profile.dataset = $dataset, profile.id = row.profile_id, profile.name = coalesce(node.name, node.id),
    profile.text = row.text, profile.source = 'imported', profile.run = $run
WITH profile, node, row
CALL (profile) {
  MATCH (profile)-[old:DESCRIBES]->()
  DELETE old
}
CREATE (profile)-[:DESCRIBES {run: $run, completion: row.completion, round: 1, evidence: []}]->(node)
RETURN count(*) AS written

// name: finish_answers(run, report) -> none
// Close the run of an import of answers that is open. Key: the run's uid.
MATCH (run:Run {uid: $run, state: 'running'})
SET run.state = 'done', run.finished_at = datetime(), run.report = $report

// name: dataset_users(dataset) -> many
// The ids of a dataset's users. Key: the dataset.
MATCH (user:User {dataset: $dataset})
RETURN user.id AS user

// name: imported_interest_runs(dataset) -> many
// The imports that made the imported interests which the graph holds now. Key: the dataset.
MATCH (interest:Interest {dataset: $dataset, source: 'imported'})
RETURN DISTINCT interest.run AS run

// name: clear_imported_interests(dataset, kept) -> none
// Take back imported interests, those of the dataset's own files too, but for nodes that stay under the same key. First step
// of the transaction that writes the new ones, whose commit counts the dataset's version. What was corrected stays. Key: the
// dataset.
MATCH (dataset:Dataset {uid: $dataset, state: 'ready'})
SET dataset.version = coalesce(dataset.version, 0) + 1, dataset.interests = 'imported'
WITH dataset
MATCH (interest:Interest {dataset: $dataset, source: 'imported'})
CALL (interest) {
  MATCH (interest)<-[old:HAS_INTEREST]-() WHERE old.pruned_by IS NULL
  DELETE old
}
WITH interest
WHERE NOT interest.uid IN $kept
DETACH DELETE interest

// name: write_imported_interests(dataset, run, interests, rows) -> none
// Write interests that were inferred elsewhere, {uid, id, name}, and who has them, {user, interest} by uid. The edges name no
// evidence. Keys: the dataset's, the interests' and the users' uids.
MATCH (:Dataset {uid: $dataset, state: 'ready'})
CALL () {
  UNWIND $interests AS row
  MERGE (interest:Interest {uid: row.uid})
  SET interest.dataset = $dataset, interest.id = row.id, interest.name = row.name, interest.source = 'imported',
      interest.run = $run
}
UNWIND $rows AS row
MATCH (user:User {uid: row.user})
MATCH (interest:Interest {uid: row.interest})
MERGE (user)-[edge:HAS_INTEREST]->(interest)
SET edge.run = $run
