// Writing a dataset. A dataset being imported counts in `imported` how many rows it has. Every batch below first takes
// the dataset's lock by writing to it, and does nothing unless the count is where the batch begins: so each batch is
// applied exactly once, whatever is retried, interrupted or run twice, and edges can be created without the look for an
// existing one that makes MERGE slow on nodes of high degree.

// name: begin_import(dataset, fingerprint, properties, run, run_id, parameters, total) -> none
// Opens an import from nothing: state 'importing', no rows. Clears the description of what was there before, but keeps
// counting `version`, which begins with the time so that no two databases share one. Two look-ups by key.
MERGE (dataset:Dataset {uid: $dataset})
SET dataset.version = coalesce(dataset.version + 1, timestamp())
WITH dataset, dataset.version AS version
SET dataset = $properties
SET dataset.uid = $dataset, dataset.id = $dataset, dataset.dataset = $dataset, dataset.fingerprint = $fingerprint,
    dataset.state = 'importing', dataset.imported = 0, dataset.importing = $run, dataset.version = version
MERGE (run:Run {uid: $run})
SET run.id = $run_id, run.dataset = $dataset, run.kind = 'import', run.name = dataset.format, run.state = 'running',
    run.total = $total, run.parameters = $parameters, run.created_at = coalesce(run.created_at, datetime()),
    run.started_at = datetime(), run.finished_at = null, run.error = null

// name: import_users(dataset, fingerprint, start, end, rows) -> none
// Users [uid, id, name]; one look-up by key a row.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.importing = dataset.importing
WITH dataset WHERE dataset.imported = $start AND dataset.fingerprint = $fingerprint
SET dataset.imported = $end
WITH dataset
UNWIND $rows AS row
MERGE (user:User {uid: row[0]})
SET user.dataset = $dataset, user.id = row[1], user.name = row[2]

// name: import_items(dataset, fingerprint, start, end, rows) -> none
// Items [uid, id, name, text]; one look-up by key a row.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.importing = dataset.importing
WITH dataset WHERE dataset.imported = $start AND dataset.fingerprint = $fingerprint
SET dataset.imported = $end
WITH dataset
UNWIND $rows AS row
MERGE (item:Item {uid: row[0]})
SET item.dataset = $dataset, item.id = row[1], item.name = row[2], item.text = row[3]

// name: import_entities(dataset, fingerprint, start, end, rows) -> none
// Entities [uid, id, name]; one look-up by key a row.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.importing = dataset.importing
WITH dataset WHERE dataset.imported = $start AND dataset.fingerprint = $fingerprint
SET dataset.imported = $end
WITH dataset
UNWIND $rows AS row
MERGE (entity:Entity {uid: row[0]})
SET entity.dataset = $dataset, entity.id = row[1], entity.name = row[2]

// name: import_interests(dataset, fingerprint, start, end, run, rows) -> none
// Interests that were inferred elsewhere, [uid, id, name]; one look-up by key a row.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.importing = dataset.importing
WITH dataset WHERE dataset.imported = $start AND dataset.fingerprint = $fingerprint
SET dataset.imported = $end
WITH dataset
UNWIND $rows AS row
MERGE (interest:Interest {uid: row[0]})
SET interest.dataset = $dataset, interest.id = row[1], interest.name = row[2], interest.source = 'imported',
    interest.run = $run

// name: import_interactions(dataset, fingerprint, start, end, rows) -> none
// Interactions grouped by user, [user uid, [[item uid, split, rating, at], …]]; one look-up a user and one an item.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.importing = dataset.importing
WITH dataset WHERE dataset.imported = $start AND dataset.fingerprint = $fingerprint
SET dataset.imported = $end
WITH dataset
UNWIND $rows AS row
MATCH (user:User {uid: row[0]})
UNWIND row[1] AS edge
MATCH (item:Item {uid: edge[0]})
CREATE (user)-[:INTERACTED {split: edge[1], rating: edge[2], at: edge[3]}]->(item)

// name: import_facts(dataset, fingerprint, start, end, type, relation, rows) -> none
// Facts of one relation grouped by head, [head uid, [tail uid, …]]; two look-ups an end, since it may be an item or an
// entity. The type comes from `schema.relationship_type` alone.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.importing = dataset.importing
WITH dataset WHERE dataset.imported = $start AND dataset.fingerprint = $fingerprint
SET dataset.imported = $end
WITH dataset
UNWIND $rows AS row
MATCH (head:Item|Entity {uid: row[0]})
UNWIND row[1] AS tail_uid
MATCH (tail:Item|Entity {uid: tail_uid})
CREATE (head)-[:$($type) {relation: $relation}]->(tail)

// name: import_interest_edges(dataset, fingerprint, start, end, run, rows) -> none
// Who has which interest, grouped by user, [user uid, [interest uid, …]]. Without evidence: it was inferred elsewhere.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.importing = dataset.importing
WITH dataset WHERE dataset.imported = $start AND dataset.fingerprint = $fingerprint
SET dataset.imported = $end
WITH dataset
UNWIND $rows AS row
MATCH (user:User {uid: row[0]})
UNWIND row[1] AS interest_uid
MATCH (interest:Interest {uid: interest_uid})
CREATE (user)-[:HAS_INTEREST {run: $run}]->(interest)

// name: finish_import(dataset, fingerprint, total, run) -> many
// Marks a dataset ready once every row is in; returns nothing where another import took its place. Two look-ups by key.
MATCH (dataset:Dataset {uid: $dataset})
WHERE dataset.fingerprint = $fingerprint AND dataset.imported = $total
SET dataset.state = 'ready', dataset.version = dataset.version + 1
REMOVE dataset.importing
WITH dataset
MATCH (run:Run {uid: $run})
SET run.state = 'done', run.finished_at = datetime()
RETURN dataset.version AS version
