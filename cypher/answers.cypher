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
