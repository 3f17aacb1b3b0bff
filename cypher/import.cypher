// Writing a dataset. A dataset being imported counts in `imported` how many rows it has. Every batch below first takes
// the dataset's lock by writing to it, and does nothing unless the count is where the batch begins: so each batch is
// applied exactly once, whatever is retried, interrupted or run twice, and edges can be created without the look for an
// existing one that makes MERGE slow on nodes of high degree.

// name: begin_import(dataset, fingerprint, properties, run, run_id, parameters, report, total) -> many
// Opens an import from nothing: state 'importing', no rows. Clears the description of what was there before, but keeps
// counting `version`, which begins with the time so that no two databases share one. Setting a property to itself locks
// the dataset, if the database knows the property's name: of two imports that begin at once, the second finds the first's
// fingerprint, and gets no row. Two look-ups by key.
MERGE (dataset:Dataset {uid: $dataset})
SET dataset.state = dataset.state
WITH dataset WHERE dataset.fingerprint IS NULL
WITH dataset, coalesce(dataset.version + 1, timestamp()) AS version
SET dataset = $properties
SET dataset.uid = $dataset, dataset.id = $dataset, dataset.dataset = $dataset, dataset.fingerprint = $fingerprint,
    dataset.state = 'importing', dataset.imported = 0, dataset.importing = $run, dataset.version = version
MERGE (run:Run {uid: $run})
SET run.id = $run_id, run.dataset = $dataset, run.kind = 'import', run.name = dataset.format, run.state = 'running',
    run.total = $total, run.parameters = $parameters, run.report = $report,
    run.created_at = coalesce(run.created_at, datetime()), run.started_at = datetime(), run.finished_at = null,
    run.error = null
RETURN run.uid AS run

// name: import_users(dataset, fingerprint, start, end, rows) -> none
// Users [uid, id, name]; one look-up by key a row.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.state = dataset.state
WITH dataset WHERE dataset.imported = $start AND dataset.fingerprint = $fingerprint
SET dataset.imported = $end
WITH dataset
UNWIND $rows AS row
MERGE (user:User {uid: row[0]})
SET user.dataset = $dataset, user.id = row[1], user.name = row[2]

// name: import_items(dataset, fingerprint, start, end, rows) -> none
// Items [uid, id, name, text]; one look-up by key a row.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.state = dataset.state
WITH dataset WHERE dataset.imported = $start AND dataset.fingerprint = $fingerprint
SET dataset.imported = $end
WITH dataset
UNWIND $rows AS row
MERGE (item:Item {uid: row[0]})
SET item.dataset = $dataset, item.id = row[1], item.name = row[2], item.text = row[3]

// name: import_entities(dataset, fingerprint, start, end, rows) -> none
// Entities [uid, id, name]; one look-up by key a row.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.state = dataset.state
WITH dataset WHERE dataset.imported = $start AND dataset.fingerprint = $fingerprint
SET dataset.imported = $end
WITH dataset
UNWIND $rows AS row
MERGE (entity:Entity {uid: row[0]})
SET entity.dataset = $dataset, entity.id = row[1], entity.name = row[2]

// name: import_interests(dataset, fingerprint, start, end, run, rows) -> none
// Interests that were inferred elsewhere, [uid, id, name]; one look-up by key a row.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.state = dataset.state
WITH dataset WHERE dataset.imported = $start AND dataset.fingerprint = $fingerprint
SET dataset.imported = $end
WITH dataset
UNWIND $rows AS row
MERGE (interest:Interest {uid: row[0]})
SET interest.dataset = $dataset, interest.id = row[1], interest.name = row[2], interest.source = 'imported',
    interest.run = coalesce(interest.run, $run)

// name: import_interactions(dataset, fingerprint, start, end, users, items, user_index, item_index, splits, split_index, ratings, times) -> none
// Interactions in columns; `user_index` and `item_index` are positions in the uids of `users` and `items`, `split_index`
// one in `splits`. One look-up a different user and item. Nothing is written where a node is missing.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.state = dataset.state
WITH dataset WHERE dataset.imported = $start AND dataset.fingerprint = $fingerprint
UNWIND range(0, size($users) - 1) AS position
MATCH (user:User {uid: $users[position]})
WITH dataset, position, user ORDER BY position
WITH dataset, collect(user) AS users WHERE size(users) = size($users)
UNWIND range(0, size($items) - 1) AS position
MATCH (item:Item {uid: $items[position]})
WITH dataset, users, position, item ORDER BY position
WITH dataset, users, collect(item) AS items WHERE size(items) = size($items)
SET dataset.imported = $end
WITH users, items
UNWIND range(0, size($user_index) - 1) AS edge
WITH users[$user_index[edge]] AS user, items[$item_index[edge]] AS item, edge
CREATE (user)-[:INTERACTED {split: $splits[$split_index[edge]], rating: $ratings[edge], at: $times[edge]}]->(item)

// name: import_facts(dataset, fingerprint, start, end, type, relation, things, head_index, tail_index) -> none
// Facts of one relation in columns; both indices are positions in the uids of `things`. Two look-ups a different end,
// since it may be an item or an entity. The type comes from `schema.relationship_type` alone.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.state = dataset.state
WITH dataset WHERE dataset.imported = $start AND dataset.fingerprint = $fingerprint
UNWIND range(0, size($things) - 1) AS position
MATCH (thing:Item|Entity {uid: $things[position]})
WITH dataset, position, thing ORDER BY position
WITH dataset, collect(thing) AS things WHERE size(things) = size($things)
SET dataset.imported = $end
WITH things
UNWIND range(0, size($head_index) - 1) AS edge
WITH things[$head_index[edge]] AS head, things[$tail_index[edge]] AS tail
CREATE (head)-[:$($type) {relation: $relation}]->(tail)

// name: import_interest_edges(dataset, fingerprint, start, end, run, users, interests, user_index, interest_index) -> none
// Who has which interest, in columns like interactions. Without evidence: it was inferred elsewhere.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.state = dataset.state
WITH dataset WHERE dataset.imported = $start AND dataset.fingerprint = $fingerprint
UNWIND range(0, size($users) - 1) AS position
MATCH (user:User {uid: $users[position]})
WITH dataset, position, user ORDER BY position
WITH dataset, collect(user) AS users WHERE size(users) = size($users)
UNWIND range(0, size($interests) - 1) AS position
MATCH (interest:Interest {uid: $interests[position]})
WITH dataset, users, position, interest ORDER BY position
WITH dataset, users, collect(interest) AS interests WHERE size(interests) = size($interests)
SET dataset.imported = $end
WITH users, interests
UNWIND range(0, size($user_index) - 1) AS edge
WITH users[$user_index[edge]] AS user, interests[$interest_index[edge]] AS interest
CREATE (user)-[:HAS_INTEREST {run: $run}]->(interest)

// name: import_knowledge_nodes(dataset, fingerprint, start, end, label, rows) -> none
// What jobs and people added, out of an archive: [uid, properties] of nodes of one label, which are there (a user that was
// corrected) or are made. `label` is one that `cikg.datasets.knowledge` lists. One look-up by key a row.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.state = dataset.state
WITH dataset WHERE dataset.imported = $start AND dataset.fingerprint = $fingerprint
SET dataset.imported = $end
WITH dataset
UNWIND $rows AS row
MERGE (node:$($label) {uid: row[0]})
SET node += row[1], node.dataset = $dataset

// name: import_knowledge_edges(dataset, fingerprint, start, end, type, source_label, target_label, run, rows) -> none
// Edges between such nodes and those of the data, [source, target, properties]; `run` is that of an edge which names none.
// Type and labels are some that `cikg.datasets.knowledge` lists. Two look-ups by key a row.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.state = dataset.state
WITH dataset WHERE dataset.imported = $start AND dataset.fingerprint = $fingerprint
SET dataset.imported = $end
WITH dataset
UNWIND $rows AS row
MATCH (source:$($source_label) {uid: row[0]})
MATCH (target:$($target_label) {uid: row[1]})
CREATE (source)-[edge:$($type)]->(target)
SET edge = row[2], edge.run = coalesce(row[2].run, $run)

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

// name: begin_addition(dataset, fingerprint, adding) -> many
// Opens an addition to a dataset that is complete, or lacks rows of this very addition; no row otherwise. `fingerprint` is
// one of its own: whoever was writing finds another one, and writes no more. One look-up by key.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.state = dataset.state
WITH dataset WHERE dataset.state = 'ready' OR (dataset.state = 'importing' AND dataset.adding = $adding)
SET dataset.state = 'importing', dataset.adding = $adding, dataset.fingerprint = $fingerprint, dataset.imported = 0
RETURN dataset.uid AS dataset

// name: known_ids(dataset, label) -> many
// The ids of all nodes of one kind. One index range.
MATCH (node:$($label) {dataset: $dataset})
RETURN node.id AS id

// name: known_nodes(labels, uids) -> many
// Those of some nodes that are there. Four look-ups by key a row, since two kinds may share an id.
UNWIND $uids AS uid
MATCH (node:User|Item|Entity|Interest {uid: uid})
WHERE labels(node)[0] IN $labels
RETURN labels(node)[0] AS label, node.id AS id, node.name AS name, node.text AS text

// name: known_interactions(uids) -> many
// The items of users, of all splits. One look-up by key a user, then that user's interactions.
UNWIND $uids AS uid
MATCH (user:User {uid: uid})-[:INTERACTED]->(item:Item)
RETURN user.id AS source, collect(item.id) AS targets

// name: known_facts(uids, relation) -> many
// What things stand in a relation to. Two look-ups by key a thing, then its facts.
UNWIND $uids AS uid
MATCH (head:Item|Entity {uid: uid})-[fact]->(tail:Item|Entity)
WHERE fact.relation = $relation
RETURN head.id AS source, collect(tail.id) AS targets

// name: known_interest_edges(uids) -> many
// The interests of users. One look-up by key a user, then that user's interests.
UNWIND $uids AS uid
MATCH (user:User {uid: uid})-[:HAS_INTEREST]->(interest:Interest)
RETURN user.id AS source, collect(interest.id) AS targets

// name: describe_addition(dataset, fingerprint, run, run_id, name, total, parameters, report, relation_names, relations) -> none
// Notes what is being added, as a run, and the relations that the dataset will have. Two look-ups by key.
MATCH (dataset:Dataset {uid: $dataset})
WHERE dataset.fingerprint = $fingerprint
SET dataset.importing = $run, dataset.relation_names = $relation_names, dataset.relations = $relations
MERGE (run:Run {uid: $run})
SET run.id = $run_id, run.dataset = $dataset, run.kind = 'import', run.name = $name, run.state = 'running',
    run.total = $total, run.parameters = $parameters, run.report = $report,
    run.created_at = coalesce(run.created_at, datetime()), run.started_at = datetime(), run.finished_at = null,
    run.error = null

// name: rename_field(dataset, fingerprint, field) -> none
// What the items of a dataset are, where an import differs from the last one in nothing else. One look-up by key.
MATCH (dataset:Dataset {uid: $dataset})
WHERE dataset.fingerprint = $fingerprint
SET dataset.field = $field, dataset.version = dataset.version + 1

// name: beside_import(dataset, run) -> one
// The nodes of an import that has begun, and how many the database has besides them and its schema's. Two look-ups by
// key and three counts that the database keeps.
CALL () { MATCH (node) RETURN count(node) AS nodes }
CALL () { MATCH (migration:Migration) RETURN count(migration) AS migrations }
CALL () { MATCH (lock:SchemaLock) RETURN count(lock) AS locks }
MATCH (dataset:Dataset {uid: $dataset})
MATCH (run:Run {uid: $run})
RETURN properties(dataset) AS dataset, properties(run) AS run, nodes - migrations - locks - 2 AS others

// name: hold_datasets() -> none
// Keeps all others from writing to any dataset's node while this transaction is open; it is never committed. To make an
// index is to lock the label.
CREATE INDEX hold_datasets FOR (n:Dataset) ON (n.hold_datasets)
