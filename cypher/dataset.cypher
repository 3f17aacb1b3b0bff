// The datasets themselves.

// name: find_dataset(dataset) -> many
// The dataset's own node, or no row. One look-up by key.
MATCH (dataset:Dataset {uid: $dataset})
RETURN properties(dataset) AS dataset

// name: begin_drop(dataset) -> none
// Marks a dataset as half gone: without a fingerprint, only a replacing import or another drop goes on. Where only runs
// have its name, as of an import that failed before its first write, it is made, to be dropped. One look-up by key.
MERGE (dataset:Dataset {uid: $dataset})
ON CREATE SET dataset.id = $dataset, dataset.dataset = $dataset
SET dataset.state = 'dropping', dataset.version = coalesce(dataset.version, 0) + 1
REMOVE dataset.fingerprint, dataset.embeddings

// name: count_nodes(dataset) -> one
// How many nodes `drop_nodes` would delete in all. Counts index ranges.
RETURN COUNT { MATCH (:User {dataset: $dataset}) } + COUNT { MATCH (:Item {dataset: $dataset}) }
       + COUNT { MATCH (:Entity {dataset: $dataset}) } + COUNT { MATCH (:Intent {dataset: $dataset}) }
       + COUNT { MATCH (:Interest {dataset: $dataset}) } + COUNT { MATCH (:Profile {dataset: $dataset}) }
       + COUNT { MATCH (:Subject {dataset: $dataset}) } + COUNT { MATCH (:Model {dataset: $dataset}) }
       + COUNT { MATCH (:Run {dataset: $dataset}) } AS nodes

// name: drop_nodes(dataset, size, characters) -> many
// Deletes some of a dataset's nodes with their edges and returns how many; 0 when none is left, or an import has begun to
// write it again: the dataset's lock keeps both apart. So many at most, with so many characters of texts, but one at
// least: the texts of all count as memory of the transaction. The dataset's own node stays, and so do the LLM's answers,
// which were paid for and are found again by what was asked. Costs the edges deleted.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.state = dataset.state
WITH dataset WHERE dataset.state = 'dropping'
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
WITH collect(node) AS nodes, collect(size(coalesce(node.text, ''))) AS lengths
WITH nodes, reduce(taken = {nodes: 0, characters: 0}, length IN lengths |
  CASE WHEN taken.nodes = 0 OR taken.characters + length <= $characters
       THEN {nodes: taken.nodes + 1, characters: taken.characters + length}
       ELSE {nodes: taken.nodes, characters: $characters + 1} END).nodes AS count
UNWIND nodes[0..count] AS node
DETACH DELETE node
RETURN count(*) AS dropped

// name: drop_dataset(dataset) -> many
// Deletes the own node of a dataset whose others are gone; returns it, and no row where an import has begun to write it
// again. One look-up by key.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.state = dataset.state
WITH dataset WHERE dataset.state = 'dropping'
DETACH DELETE dataset
RETURN $dataset AS dropped

// name: kept_completions(dataset) -> one
// How many answers of the LLM are kept for a dataset. Counts an index range.
RETURN COUNT { MATCH (:Completion {dataset: $dataset}) } AS completions

// name: drop_completions(dataset, size) -> many
// Deletes some of a dataset's answers and returns how many; 0 when none is left. Costs the nodes deleted.
MATCH (node:Completion {dataset: $dataset})
WITH node LIMIT $size
DETACH DELETE node
RETURN count(*) AS dropped

// name: dataset_list() -> many
// All datasets with what a list says of each. Scan: Dataset, which has one node a dataset; then degrees of its users.
MATCH (dataset:Dataset)
WHERE dataset.uid IS NOT NULL
CALL (dataset) {
  MATCH (user:User {dataset: dataset.uid})
  RETURN count(user) AS users, sum(COUNT { (user)-[:INTERACTED]->() }) AS interactions
}
CALL (dataset) {
  MATCH (run:Run {dataset: dataset.uid, kind: 'import'})
  RETURN toString(max(coalesce(run.finished_at, run.started_at))) AS imported_at
}
RETURN dataset.uid AS dataset, dataset.format AS format, dataset.state AS state, users,
       COUNT { MATCH (:Item {dataset: dataset.uid}) } AS items,
       COUNT { MATCH (:Entity {dataset: dataset.uid}) } AS entities, interactions,
       COUNT { MATCH (intent:Intent {dataset: dataset.uid}) WHERE intent.merged_into IS NULL } AS intents,
       COUNT { MATCH (:Interest {dataset: dataset.uid}) } AS interests, imported_at
ORDER BY dataset

// name: dataset_counts(dataset) -> one
// How much of everything a dataset holds, without merged intents and what was pruned. Counts index ranges, then degrees; only
// what says who has which intent or interest is walked along.
CALL () {
  MATCH (user:User {dataset: $dataset})
  RETURN count(user) AS users, sum(COUNT { (user)-[:INTERACTED]->() }) AS interactions,
         sum(COUNT { (user)-[has:POSSESSES]->() WHERE has.pruned_by IS NULL }) AS possesses,
         sum(COUNT { (user)-[has:HAS_INTEREST]->() WHERE has.pruned_by IS NULL }) AS has_interest
}
OPTIONAL MATCH (served:Dataset {uid: $dataset})
OPTIONAL MATCH (model:Model {uid: served.published})
WITH users, interactions, possesses, has_interest, coalesce(model.recommendations, 0) AS recommended
CALL () {
  MATCH (item:Item {dataset: $dataset})
  RETURN count(item) AS items, sum(COUNT { (item)-[gives:SATISFIES]->() WHERE gives.pruned_by IS NULL }) AS satisfies
}
RETURN users, items, COUNT { MATCH (:Entity {dataset: $dataset}) } AS entities,
       COUNT { MATCH (intent:Intent {dataset: $dataset}) WHERE intent.merged_into IS NULL } AS intents,
       COUNT { MATCH (:Interest {dataset: $dataset}) } AS interests,
       COUNT { MATCH (:Profile {dataset: $dataset}) } AS profiles,
       interactions, possesses, satisfies, has_interest, recommended,
       COUNT { MATCH (:Completion {dataset: $dataset}) } AS completions,
       COUNT { MATCH (:Subject {dataset: $dataset}) } AS subjects

// name: dataset_splits(dataset) -> many
// How many interactions each split has. Costs the dataset's interactions.
MATCH (:User {dataset: $dataset})-[interacted:INTERACTED]->(:Item)
RETURN interacted.split AS split, count(*) AS interactions ORDER BY split

// name: dataset_relations(dataset) -> many
// The relations of a dataset, by their own names, with their types and how many facts each has. Costs the facts.
CALL () {
  MATCH (:Item {dataset: $dataset})-[fact]->(:Item|Entity) RETURN fact
  UNION ALL MATCH (:Entity {dataset: $dataset})-[fact]->(:Item|Entity) RETURN fact
}
RETURN fact.relation AS relation, type(fact) AS type, count(*) AS facts ORDER BY facts DESC, relation

// name: dataset_runs(dataset) -> many
// The runs of a dataset, the newest first. One index range.
MATCH (run:Run {dataset: $dataset})
RETURN run.id AS run, run.kind AS kind, run.name AS name, run.state AS state, run.total AS total,
       toString(run.created_at) AS created_at, toString(run.finished_at) AS finished_at, run.report AS report
ORDER BY created_at DESC, run

// name: archive_users(dataset) -> many
// Users as they were imported, without names that they do not have. One index range.
MATCH (node:User {dataset: $dataset})
RETURN node.id AS id, node.name AS name

// name: archive_items(dataset) -> many
// Items as they were imported. One index range.
MATCH (node:Item {dataset: $dataset})
RETURN node.id AS id, node.name AS name, nullIf(node.text, '') AS text

// name: archive_entities(dataset) -> many
// Entities as they were imported. One index range.
MATCH (node:Entity {dataset: $dataset})
RETURN node.id AS id, node.name AS name

// name: archive_interests(dataset) -> many
// Interests that were imported. One index range.
MATCH (node:Interest {dataset: $dataset, source: 'imported'})
RETURN node.id AS id, node.name AS name

// name: archive_interactions(dataset, unrated, never) -> many
// A user's interactions as equally long lists; the parameters stand for a missing rating and a missing time.
MATCH (user:User {dataset: $dataset})-[interacted:INTERACTED]->(item:Item)
RETURN user.id AS user, collect(item.id) AS item, collect(interacted.split) AS split,
       collect(coalesce(interacted.rating, $unrated)) AS rating, collect(coalesce(interacted.at, $never)) AS at

// name: archive_facts(dataset) -> many
// The tails of each head and relation, by its own name. Only facts lead from an item or entity to another.
CALL () {
  MATCH (head:Item {dataset: $dataset})-[fact]->(tail:Item|Entity)
  RETURN head.id AS head, fact.relation AS relation, collect(tail.id) AS tail
  UNION ALL
  MATCH (head:Entity {dataset: $dataset})-[fact]->(tail:Item|Entity)
  RETURN head.id AS head, fact.relation AS relation, collect(tail.id) AS tail
}
RETURN head, relation, tail

// name: archive_user_interests(dataset) -> many
// Who has which imported interest: edges that no model made, so that they have no evidence; what was corrected is left out.
MATCH (user:User {dataset: $dataset})-[has:HAS_INTEREST]->(interest:Interest {source: 'imported'})
WHERE has.evidence IS NULL AND has.pruned_by IS NULL
RETURN user.id AS user, collect(interest.id) AS interest

// name: knowledge_intents(dataset) -> many
// Intents that a model named, with the one that each was merged into. One index range.
MATCH (node:Intent {dataset: $dataset})
OPTIONAL MATCH (into:Intent {uid: node.merged_into})
RETURN node.id AS id, node.name AS name, into.id AS merged_into

// name: knowledge_interests(dataset) -> many
// Interests that clustering made, and by which run. One index range.
MATCH (node:Interest {dataset: $dataset})
WHERE node.source <> 'imported'
RETURN node.id AS id, node.name AS name, node.run AS run

// name: knowledge_user_intents(dataset) -> many
// Who has which intent, with all that is known of where it comes from, pruned ones among them. Costs those edges.
MATCH (source:User {dataset: $dataset})-[edge:POSSESSES]->(target:Intent)
RETURN source.id AS user, target.id AS intent, target.name AS name, edge.run AS run, edge.completion AS completion,
       edge.round AS round, edge.evidence AS evidence, edge.merged_from AS merged_from, edge.pruned_by AS pruned_by,
       edge.pruned_reason AS pruned_reason, edge.pruned_along AS pruned_along

// name: knowledge_item_intents(dataset) -> many
// Which item satisfies which intent, with all that is known of where it comes from. Costs those edges.
MATCH (source:Item {dataset: $dataset})-[edge:SATISFIES]->(target:Intent)
RETURN source.id AS item, target.id AS intent, target.name AS name, edge.run AS run, edge.completion AS completion,
       edge.round AS round, edge.evidence AS evidence, edge.merged_from AS merged_from, edge.pruned_by AS pruned_by,
       edge.pruned_reason AS pruned_reason, edge.pruned_along AS pruned_along

// name: knowledge_intent_interests(dataset) -> many
// Which intent belongs to which interest. Costs those edges.
MATCH (source:Intent {dataset: $dataset})-[edge:MEMBER_OF]->(target:Interest)
RETURN source.id AS intent, target.id AS interest, edge.run AS run

// name: knowledge_user_interests(dataset) -> many
// Who has which interest by what a model found, with its evidence. Costs those edges.
MATCH (source:User {dataset: $dataset})-[edge:HAS_INTEREST]->(target:Interest)
WHERE edge.evidence IS NOT NULL
RETURN source.id AS user, target.id AS interest, target.name AS name, edge.run AS run, edge.completion AS completion,
       edge.evidence AS evidence, edge.pruned_by AS pruned_by, edge.pruned_reason AS pruned_reason, edge.pruned_along AS pruned_along

// name: knowledge_profiles(dataset) -> many
// What a model wrote about users and items, imported texts among it, with where each comes from. One index range, then the
// profiles' edges.
MATCH (profile:Profile {dataset: $dataset})-[edge:DESCRIBES]->(node:User|Item)
RETURN profile.id AS id, CASE WHEN node:User THEN 'user' ELSE 'item' END AS about, node.id AS described,
       profile.text AS text, profile.source AS source, edge.run AS run, edge.completion AS completion,
       edge.evidence AS evidence, edge.pruned_by AS pruned_by, edge.pruned_reason AS pruned_reason

// name: knowledge_nodes(dataset, kinds) -> many
// All that jobs and people added to a dataset, as nodes: those that they made, and further properties of the data's own. Of
// runs those of these kinds that made it; one that has not ended counts as cancelled, so that no worker of another database
// goes on with it, and what it had under way as planned. Properties as pairs, without vectors. Costs the dataset's nodes.
CALL () {
  MATCH (node:Intent {dataset: $dataset})
  RETURN 'Intent' AS label, node, properties(node) AS properties
  UNION ALL MATCH (node:Interest {dataset: $dataset}) WHERE coalesce(node.source, '') <> 'imported'
  RETURN 'Interest' AS label, node, properties(node) AS properties
  UNION ALL MATCH (node:Profile {dataset: $dataset})
  RETURN 'Profile' AS label, node, properties(node) AS properties
  UNION ALL MATCH (node:Completion {dataset: $dataset})
  RETURN 'Completion' AS label, node, properties(node) AS properties
  UNION ALL MATCH (node:Subject {dataset: $dataset})
  RETURN 'Subject' AS label, node,
         node {.*, state: CASE node.state WHEN 'running' THEN 'planned' ELSE node.state END} AS properties
  UNION ALL MATCH (node:Run {dataset: $dataset}) WHERE node.kind IN $kinds
  RETURN 'Run' AS label, node, node {.*, state:
    CASE WHEN node.state IN ['done', 'failed'] THEN node.state ELSE 'cancelled' END} AS properties
  UNION ALL MATCH (node:Dataset {uid: $dataset}) WHERE node.interests = 'extracted' OR node.related_by IS NOT NULL
  RETURN 'Dataset' AS label, node, node {.interests, .related_by} AS properties
  UNION ALL MATCH (node:User|Item {dataset: $dataset})
  WITH node
  WHERE any(name IN keys(node) WHERE NOT name STARTS WITH 'embed' AND NOT name IN ['uid', 'dataset', 'id', 'name', 'text'])
  RETURN labels(node)[0] AS label, node, properties(node) AS properties
}
RETURN label, CASE label WHEN 'Dataset' THEN '' ELSE substring(node.uid, size($dataset) + 1) END AS key,
       [name IN keys(properties) WHERE NOT name STARTS WITH 'embed' AND properties[name] IS NOT NULL
         AND NOT (label IN ['User', 'Item'] AND name IN ['id', 'name', 'text']) | [name, properties[name]]] AS properties

// name: knowledge_edges(dataset) -> many
// All edges that jobs and people made or pruned, with their properties. Who has an imported interest is data, and is left
// out, unless somebody corrected it. Costs the edges.
CALL () {
  MATCH (source:User {dataset: $dataset})-[edge:POSSESSES]->(target:Intent) RETURN source, edge, target
  UNION ALL MATCH (source:Item {dataset: $dataset})-[edge:SATISFIES]->(target:Intent) RETURN source, edge, target
  UNION ALL MATCH (source:Intent {dataset: $dataset})-[edge:SAME_AS]->(target:Intent) RETURN source, edge, target
  UNION ALL MATCH (source:Intent {dataset: $dataset})-[edge:MEMBER_OF]->(target:Interest) RETURN source, edge, target
  UNION ALL MATCH (source:User {dataset: $dataset})-[edge:HAS_INTEREST]->(target:Interest)
  WHERE coalesce(target.source, '') <> 'imported' OR edge.evidence IS NOT NULL OR edge.pruned_by IS NOT NULL
  RETURN source, edge, target
  UNION ALL MATCH (source:Profile {dataset: $dataset})-[edge:DESCRIBES]->(target:User|Item|Dataset)
  RETURN source, edge, target
}
RETURN type(edge) AS type, labels(source)[0] AS source_label, substring(source.uid, size($dataset) + 1) AS source,
       labels(target)[0] AS target_label,
       CASE WHEN target:Dataset THEN '' ELSE substring(target.uid, size($dataset) + 1) END AS target,
       [name IN keys(edge)
         WHERE name <> 'run' OR coalesce(target.source, '') <> 'imported' OR edge.evidence IS NOT NULL |
         [name, edge[name]]] AS properties
