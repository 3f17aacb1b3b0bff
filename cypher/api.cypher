// What the API reads beyond the dashboard's pages. Lists come in the order of their keys and begin after one, so that a
// list of any length is read a page at a time, each at the cost of what it returns. A `text` (lower case; '' for all)
// leaves those whose name or id contains it, at the cost of what is passed over, too.

// name: dataset_state(dataset) -> many
// What everything that is read of a dataset follows from: how often it was changed, and what it serves; no row where there
// is none. Keys: Dataset.uid, Model.uid.
MATCH (dataset:Dataset {uid: $dataset})
OPTIONAL MATCH (model:Model {uid: dataset.published})
RETURN coalesce(dataset.version, 0) AS version, dataset.published AS published,
       toString(model.published_at) AS published_at, model.digest AS digest

// name: dataset_detail(dataset) -> one
// A dataset with its counts. Key: Dataset.uid; counts are of index ranges.
MATCH (dataset:Dataset {uid: $dataset})
OPTIONAL MATCH (model:Model {uid: dataset.published})
RETURN dataset.uid AS id, coalesce(dataset.field, 'items') AS field, dataset.source AS source,
       coalesce(dataset.state, 'ready') AS state, coalesce(dataset.version, 0) AS version,
       model.id AS served, COUNT { MATCH (:User {dataset: $dataset}) } AS users,
       COUNT { MATCH (:Item {dataset: $dataset}) } AS items,
       COUNT { MATCH (:Entity {dataset: $dataset}) } AS entities,
       COUNT { MATCH (intent:Intent {dataset: $dataset}) WHERE intent.merged_into IS NULL } AS intents,
       COUNT { MATCH (:Interest {dataset: $dataset}) } AS interests

// name: list_of_datasets(text, after, limit) -> many
// Datasets by key. Key: Dataset.uid.
MATCH (dataset:Dataset)
WHERE dataset.uid > $after AND toLower(dataset.id) CONTAINS $text
WITH dataset ORDER BY dataset.uid LIMIT $limit
OPTIONAL MATCH (model:Model {uid: dataset.published})
RETURN dataset.id AS id, coalesce(dataset.field, 'items') AS field, coalesce(dataset.state, 'ready') AS state,
       coalesce(dataset.version, 0) AS version, model.id AS served
ORDER BY id

// name: list_users(dataset, text, after, limit) -> many
// Users by key. Key: User.uid.
MATCH (user:User)
WHERE user.uid STARTS WITH $dataset + ':' AND user.uid > $after
  AND ($text = '' OR toLower(user.id) CONTAINS $text OR toLower(user.name) CONTAINS $text)
WITH user ORDER BY user.uid LIMIT $limit
RETURN user.uid AS uid, user.id AS id, user.name AS name, COUNT { (user)-[:INTERACTED]->() } AS interactions
ORDER BY uid

// name: list_items(dataset, text, after, limit) -> many
// Items by key. Key: Item.uid.
MATCH (item:Item)
WHERE item.uid STARTS WITH $dataset + ':' AND item.uid > $after
  AND ($text = '' OR toLower(item.id) CONTAINS $text OR toLower(item.name) CONTAINS $text)
WITH item ORDER BY item.uid LIMIT $limit
RETURN item.uid AS uid, item.id AS id, coalesce(item.name, item.id) AS name, item.text AS text,
       COUNT { (item)<-[:INTERACTED]-() } AS users
ORDER BY uid

// name: list_entities(dataset, text, after, limit) -> many
// Entities by key. Key: Entity.uid.
MATCH (entity:Entity)
WHERE entity.uid STARTS WITH $dataset + ':' AND entity.uid > $after
  AND ($text = '' OR toLower(entity.id) CONTAINS $text OR toLower(entity.name) CONTAINS $text)
WITH entity ORDER BY entity.uid LIMIT $limit
RETURN entity.uid AS uid, entity.id AS id, coalesce(entity.name, entity.id) AS name, COUNT { (entity)--() } AS facts
ORDER BY uid

// name: list_intents(dataset, text, after, limit) -> many
// Intents by key, without those that were merged into another. Key: Intent.uid.
MATCH (intent:Intent)
WHERE intent.uid STARTS WITH $dataset + ':' AND intent.uid > $after AND intent.merged_into IS NULL
  AND ($text = '' OR toLower(intent.id) CONTAINS $text OR toLower(intent.name) CONTAINS $text)
WITH intent ORDER BY intent.uid LIMIT $limit
RETURN intent.uid AS uid, intent.id AS id, coalesce(intent.name, intent.id) AS name,
       COUNT { MATCH (intent)<-[has:POSSESSES]-(user:User) WHERE has.pruned_by IS NULL RETURN DISTINCT user } AS users,
       COUNT { MATCH (intent)<-[gives:SATISFIES]-(item:Item) WHERE gives.pruned_by IS NULL RETURN DISTINCT item } AS items
ORDER BY uid

// name: list_interests(dataset, text, after, limit) -> many
// Interests by key. Key: Interest.uid.
MATCH (interest:Interest)
WHERE interest.uid STARTS WITH $dataset + ':' AND interest.uid > $after
  AND ($text = '' OR toLower(interest.id) CONTAINS $text OR toLower(interest.name) CONTAINS $text)
WITH interest ORDER BY interest.uid LIMIT $limit
RETURN interest.uid AS uid, interest.id AS id, coalesce(interest.name, interest.id) AS name,
       COUNT { (interest)<-[held:HAS_INTEREST]-() WHERE held.pruned_by IS NULL } AS holders,
       COUNT {
         MATCH (interest)<-[:MEMBER_OF]-(intent:Intent) WHERE intent.merged_into IS NULL RETURN DISTINCT intent
       } AS intents
ORDER BY uid

// name: intent_detail(intent) -> many
// One intent with its counts, or no row; `merged_into` is the id of the one that it was merged into. Key: Intent.uid.
MATCH (intent:Intent {uid: $intent})
OPTIONAL MATCH (survivor:Intent {uid: intent.merged_into})
RETURN intent.id AS id, coalesce(intent.name, intent.id) AS name, survivor.id AS merged_into,
       COUNT { MATCH (intent)<-[has:POSSESSES]-(user:User) WHERE has.pruned_by IS NULL RETURN DISTINCT user } AS users,
       COUNT { MATCH (intent)<-[gives:SATISFIES]-(item:Item) WHERE gives.pruned_by IS NULL RETURN DISTINCT item } AS items,
       COLLECT {
         MATCH (intent)-[:MEMBER_OF]->(interest:Interest)
         RETURN DISTINCT {id: interest.id, name: coalesce(interest.name, interest.id)} AS row ORDER BY row.id
       } AS interests

// name: user_history_page(user, skip, limit) -> many
// A part of what a user did, newest first. Key: User.uid. Cost: the user's history.
MATCH (user:User {uid: $user})-[edge:INTERACTED]->(item:Item)
RETURN item.id AS id, coalesce(item.name, item.id) AS name, edge.split AS split, edge.rating AS rating, edge.at AS at
ORDER BY at IS NULL, at DESC, name, id SKIP $skip LIMIT $limit

// name: neighbours_by_type(label, uid, type, pruned, skip, limit) -> many
// A part of a node's neighbours by one relationship type or ('') any, in the order of their keys; pruned edges where they
// are asked for, with the reason. Of recommendations, those of the served model; of pairs of intents, none that differ.
// Cost: the node's degree.
MATCH (centre:User|Item|Entity|Interest|Intent {uid: $uid})
WHERE $label IN labels(centre)
OPTIONAL MATCH (served:Dataset {uid: centre.dataset})
MATCH (centre)-[edge]-(other:User|Item|Entity|Interest|Intent)
WHERE ($type = '' OR type(edge) = $type)
  AND (type(edge) <> 'RECOMMENDED' OR edge.model = served.published)
  AND ($pruned OR edge.pruned_by IS NULL) AND other.merged_into IS NULL
  AND NOT coalesce(edge.state, '') IN ['rejected', 'undone']
WITH other, edge, startNode(edge) = centre AS outgoing
ORDER BY type(edge), other.uid, elementId(edge) SKIP $skip LIMIT $limit
RETURN type(edge) AS type, outgoing, head(labels(other)) AS kind, other.id AS id, coalesce(other.name, other.id) AS name,
       edge.relation AS relation, edge.evidence AS evidence, edge.run AS run, edge.completion AS completion,
       edge.pruned_by AS pruned_by, edge.pruned_reason AS pruned_reason

// name: shortest_paths(source_label, source, target_label, target, most) -> many
// Those of the `most` shortest paths of at most four edges between two nodes that meet no node twice, without
// recommendations, pruned edges, merged intents and what is said of pairs of intents. Keys: the nodes' uids. A length is looked at only where shorter ones
// leave room, from the end that less lies around, and to no more paths than are wanted: `SHORTEST k` would walk all
// that lies within four edges first, which is most of a dense dataset. Cost: what lies within two edges of that end, and
// more only where the two have hardly a path.
MATCH (source:User|Item|Entity|Interest|Intent {uid: $source}), (target:User|Item|Entity|Interest|Intent {uid: $target})
WHERE $source_label IN labels(source) AND $target_label IN labels(target) AND source <> target
  AND target.merged_into IS NULL
CALL (source) { MATCH (source)--(around) RETURN sum(COUNT { (around)--() }) AS before }
CALL (target) { MATCH (target)--(around) RETURN sum(COUNT { (around)--() }) AS behind }
WITH before > behind AS turned, CASE WHEN before > behind THEN target ELSE source END AS near,
     CASE WHEN before > behind THEN source ELSE target END AS far
CALL (near, far) {
  MATCH path = (near)-[e:!(RECOMMENDED|SAME_AS) WHERE e.pruned_by IS NULL]-(far)
  WITH path LIMIT $most
  RETURN collect(path) AS direct
}
CALL (near, far, direct) {
  WITH * WHERE size(direct) < $most
  MATCH path = (near)-[e1:!(RECOMMENDED|SAME_AS) WHERE e1.pruned_by IS NULL]-(a)
               -[e2:!(RECOMMENDED|SAME_AS) WHERE e2.pruned_by IS NULL]-(far)
  WHERE a:User|Item|Entity|Interest|Intent AND a.merged_into IS NULL
  WITH path LIMIT $most
  RETURN collect(path) AS of_two
}
CALL (near, far, direct, of_two) {
  WITH * WHERE size(direct) + size(of_two) < $most
  MATCH path = (near)-[e1:!(RECOMMENDED|SAME_AS) WHERE e1.pruned_by IS NULL]-(a)
               -[e2:!(RECOMMENDED|SAME_AS) WHERE e2.pruned_by IS NULL]-(b)
               -[e3:!(RECOMMENDED|SAME_AS) WHERE e3.pruned_by IS NULL]-(far)
  WHERE a:User|Item|Entity|Interest|Intent AND a.merged_into IS NULL AND a <> far
    AND b:User|Item|Entity|Interest|Intent AND b.merged_into IS NULL AND b <> near
  WITH path LIMIT $most
  RETURN collect(path) AS of_three
}
CALL (near, far, direct, of_two, of_three) {
  WITH * WHERE size(direct) + size(of_two) + size(of_three) < $most
  MATCH path = (near)-[e1:!(RECOMMENDED|SAME_AS) WHERE e1.pruned_by IS NULL]-(a)
               -[e2:!(RECOMMENDED|SAME_AS) WHERE e2.pruned_by IS NULL]-(b)
               -[e3:!(RECOMMENDED|SAME_AS) WHERE e3.pruned_by IS NULL]-(c)
               -[e4:!(RECOMMENDED|SAME_AS) WHERE e4.pruned_by IS NULL]-(far)
  WHERE a:User|Item|Entity|Interest|Intent AND a.merged_into IS NULL AND a <> far
    AND b:User|Item|Entity|Interest|Intent AND b.merged_into IS NULL AND b <> near AND b <> far
    AND c:User|Item|Entity|Interest|Intent AND c.merged_into IS NULL AND c <> near AND c <> a
  WITH path LIMIT $most
  RETURN collect(path) AS of_four
}
UNWIND (direct + of_two + of_three + of_four)[..$most] AS path
WITH CASE WHEN turned THEN reverse(nodes(path)) ELSE nodes(path) END AS passed,
     CASE WHEN turned THEN reverse(relationships(path)) ELSE relationships(path) END AS edges
RETURN [node IN passed | {kind: head(labels(node)), id: node.id, name: coalesce(node.name, node.id)}] AS nodes,
       [step IN range(0, size(edges) - 1) | {
         type: type(edges[step]), relation: edges[step].relation, forward: startNode(edges[step]) = passed[step]
       }] AS edges

// name: users_of(dataset, ids) -> many
// Which of these users there are, with their names. Key: User.uid.
UNWIND $ids AS id
MATCH (user:User {uid: $dataset + ':' + id})
RETURN user.id AS id, user.name AS name

// name: queries(after, limit) -> many
// Kept statements in the order of their names, those after one. Cost: what is returned.
MATCH (query:Query)
WHERE query.uid > $after
RETURN query.uid AS name, query.purpose AS purpose, query.cypher AS cypher, query.parameters AS parameters,
       query.author AS author, toString(query.changed_at) AS changed_at
ORDER BY name LIMIT $limit

// name: find_query(query) -> many
// One kept statement, or no row. Key: Query.uid.
MATCH (query:Query {uid: $query})
RETURN query.uid AS name, query.purpose AS purpose, query.cypher AS cypher, query.parameters AS parameters,
       query.author AS author, toString(query.changed_at) AS changed_at

// name: keep_query(query, purpose, cypher, parameters, author) -> none
// Keep a statement, in the place of one of its name. Key: Query.uid.
MERGE (query:Query {uid: $query})
SET query.id = $query, query.purpose = $purpose, query.cypher = $cypher, query.parameters = $parameters,
    query.author = $author, query.changed_at = datetime()

// name: remove_query(query) -> none
// Forget a kept statement. Key: Query.uid.
MATCH (query:Query {uid: $query})
DELETE query

// name: console_example(dataset) -> many
// What the console's editor begins with.
MATCH (user:User {dataset: $dataset})-[edge:HAS_INTEREST]->(interest:Interest)
RETURN user, edge, interest
LIMIT 20

// name: job_parameters(dataset) -> many
// What the LLM jobs of a dataset were started with, among it the model that they ask. Key: the dataset's runs.
MATCH (run:Run {dataset: $dataset, kind: 'extract'})
RETURN run.id AS run, run.parameters AS parameters
