// A dataset as columns. A row of an answer costs a reader thirty times what a number in a list does, so edges come as
// equally long lists, those of some thousand nodes in one row; and nodes are named by the database's internal numbers,
// which are valid as long as the dataset's version stays. What memory a statement takes depends on the number of nodes
// that it is given, not on the dataset. The order is the reader's business.

// name: hold_dataset(dataset) -> many
// Take the lock that every writer of a dataset takes first; its properties are read once that is had. Key: the dataset.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.state = dataset.state
WITH dataset
RETURN properties(dataset) AS dataset

// name: export_nodes(dataset) -> many
// The internal numbers of all nodes by kind, without intents that were merged into others; no row for a kind that there
// is none of. One index range a kind.
MATCH (node:User {dataset: $dataset}) RETURN 'users' AS kind, collect(id(node)) AS nodes
UNION ALL MATCH (node:Item {dataset: $dataset}) RETURN 'items' AS kind, collect(id(node)) AS nodes
UNION ALL MATCH (node:Entity {dataset: $dataset}) RETURN 'entities' AS kind, collect(id(node)) AS nodes
UNION ALL MATCH (node:Intent {dataset: $dataset}) WHERE node.merged_into IS NULL
  RETURN 'intents' AS kind, collect(id(node)) AS nodes
UNION ALL MATCH (node:Interest {dataset: $dataset}) RETURN 'interests' AS kind, collect(id(node)) AS nodes
UNION ALL MATCH (node:Profile {dataset: $dataset}) RETURN 'profiles' AS kind, collect(id(node)) AS nodes

// name: export_texts(nodes) -> many
// Ids, names and texts of some nodes.
UNWIND $nodes AS number
MATCH (node) WHERE id(node) = number
RETURN collect(number) AS nodes, collect(node.id) AS ids, collect(coalesce(node.name, node.id)) AS names,
       collect(coalesce(node.text, '')) AS texts

// name: export_profiles(nodes) -> many
// The texts of some profiles, the users and items that they describe, and of each whether evidence supports it.
UNWIND $nodes AS number
MATCH (profile) WHERE id(profile) = number
MATCH (profile)-[describes:DESCRIBES]->(node:User|Item)
WHERE describes.pruned_by IS NULL
RETURN collect(number) AS nodes, collect(profile.id) AS ids, collect(coalesce(profile.text, '')) AS texts,
       collect(id(node)) AS targets, collect(coalesce(describes.round, 0)) AS rounds,
       collect(size(coalesce(describes.evidence, [])) > 0) AS from_evidence

// name: export_vectors(nodes, property) -> many
// The vectors of those of some nodes that have one.
UNWIND $nodes AS number
MATCH (node) WHERE id(node) = number AND node[$property] IS NOT NULL
RETURN collect(number) AS nodes, collect(node[$property]) AS vectors

// name: export_interactions(nodes, unrated, never) -> many
// What some users did, as a list a user: histories are long, so this spares a number an edge. The last two parameters
// stand for a missing rating and a missing time; where they are null, so that nothing stands for them, those lists have
// only what there is. An edge's properties are looked up once for all three, which takes a quarter of the time away.
UNWIND $nodes AS number
MATCH (user) WHERE id(user) = number
CALL (user) {
  MATCH (user)-[interacted:INTERACTED]->(item)
  WITH item, properties(interacted) AS said
  RETURN collect(id(item)) AS targets, collect(said.split) AS splits,
         collect(coalesce(said.rating, $unrated)) AS ratings, collect(coalesce(said.at, $never)) AS times
}
RETURN collect(number) AS sources, collect(targets) AS targets, collect(splits) AS splits,
       collect(ratings) AS ratings, collect(times) AS times

// name: export_facts(nodes, codes) -> many
// Facts about some items or entities; `codes` numbers the relationship types.
UNWIND $nodes AS number
MATCH (head) WHERE id(head) = number
MATCH (head)-[fact]->(tail)
WHERE $codes[type(fact)] IS NOT NULL AND fact.pruned_by IS NULL
RETURN collect(number) AS sources, collect(id(tail)) AS targets, collect($codes[type(fact)]) AS relations

// name: export_possessed(nodes) -> many
// The intents of some users.
UNWIND $nodes AS number
MATCH (user) WHERE id(user) = number
MATCH (user)-[edge:POSSESSES]->(intent)
WHERE edge.pruned_by IS NULL
RETURN collect(number) AS sources, collect(id(intent)) AS targets, collect(coalesce(edge.round, 0)) AS round

// name: export_satisfied(nodes) -> many
// The intents that some items satisfy.
UNWIND $nodes AS number
MATCH (item) WHERE id(item) = number
MATCH (item)-[edge:SATISFIES]->(intent)
WHERE edge.pruned_by IS NULL
RETURN collect(number) AS sources, collect(id(intent)) AS targets, collect(coalesce(edge.round, 0)) AS round

// name: export_members(nodes) -> many
// The interests that some intents belong to.
UNWIND $nodes AS number
MATCH (intent) WHERE id(intent) = number
MATCH (intent)-[edge:MEMBER_OF]->(interest)
WHERE edge.pruned_by IS NULL
RETURN collect(number) AS sources, collect(id(interest)) AS targets

// name: export_interest_edges(nodes) -> many
// The interests of some users, and of each whether evidence supports it.
UNWIND $nodes AS number
MATCH (user) WHERE id(user) = number
MATCH (user)-[has:HAS_INTEREST]->(interest)
WHERE has.pruned_by IS NULL
RETURN collect(number) AS sources, collect(id(interest)) AS targets,
       collect(has.evidence IS NOT NULL) AS from_evidence

// name: used_snapshots(dataset) -> many
// Which snapshots trainings and published models were made from; of a model its manifest says so. One index range each.
MATCH (run:Run {dataset: $dataset, kind: 'train'})
RETURN run.id AS run, run.snapshot AS snapshot, null AS manifest
UNION ALL MATCH (model:Model {dataset: $dataset})
RETURN model.id AS run, null AS snapshot, model.manifest AS manifest
