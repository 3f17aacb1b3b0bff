// A dataset as columns. Edges are grouped by one end, so that a row carries many of them: grouped, an edge costs an
// eighth of what it costs as a row of its own. The order is the reader's business.

// name: export_users(dataset) -> many
// Ids and names of all users; costs one index range.
MATCH (node:User {dataset: $dataset})
RETURN node.id AS id, coalesce(node.name, node.id) AS name

// name: export_items(dataset) -> many
// Ids, names and texts of all items; costs one index range.
MATCH (node:Item {dataset: $dataset})
RETURN node.id AS id, coalesce(node.name, node.id) AS name, coalesce(node.text, '') AS text

// name: export_entities(dataset) -> many
// Ids and names of all entities; costs one index range.
MATCH (node:Entity {dataset: $dataset})
RETURN node.id AS id, coalesce(node.name, node.id) AS name

// name: export_interests(dataset) -> many
// Ids and names of all interests; costs one index range.
MATCH (node:Interest {dataset: $dataset})
RETURN node.id AS id, coalesce(node.name, node.id) AS name

// name: export_interactions(dataset, unrated, never) -> many
// A user's interactions as equally long lists; the parameters stand for a missing rating and a missing time.
MATCH (user:User {dataset: $dataset})-[interacted:INTERACTED]->(item:Item)
RETURN user.id AS user, collect(item.id) AS items, collect(interacted.split) AS splits,
       collect(coalesce(interacted.rating, $unrated)) AS ratings, collect(coalesce(interacted.at, $never)) AS times

// name: export_facts(dataset) -> many
// The tails of each head and relation. Only facts lead from an item or entity to another.
MATCH (head:Item|Entity {dataset: $dataset})-[fact]->(tail:Item|Entity)
RETURN head.id AS head, type(fact) AS relation, collect(tail.id) AS tails

// name: export_interest_edges(dataset) -> many
// A user's interests, and of each whether evidence supports it.
MATCH (user:User {dataset: $dataset})-[has:HAS_INTEREST]->(interest:Interest)
RETURN user.id AS user, collect(interest.id) AS interests, collect(has.evidence IS NOT NULL) AS from_evidence
