// Questions a person asks about interests, with ids as they are shown. `cikg query NAME` runs them.

// name: users_by_interest(dataset, interest) -> many
// The users who have an interest, those with the most evidence first. One look-up by key, then the interest's edges.
MATCH (interest:Interest {uid: $dataset + ':' + $interest})<-[has:HAS_INTEREST]-(user:User)
RETURN user.id AS user, user.name AS name, size(coalesce(has.evidence, [])) AS evidence
ORDER BY evidence DESC, user

// name: interests_of_user(dataset, user) -> many
// A user's interests, and the items each was inferred from. One look-up by key, then the user's edges.
MATCH (user:User {uid: $dataset + ':' + $user})-[has:HAS_INTEREST]->(interest:Interest)
RETURN interest.id AS interest, interest.name AS name, interest.source AS source, has.evidence AS evidence
ORDER BY interest

// name: items_of_interest(dataset, interest) -> many
// What the holders of an interest have in common: items by the number of holders who had them in train, and the share
// of an item's train users who are holders. One look-up by key, then the holders' interactions.
MATCH (interest:Interest {uid: $dataset + ':' + $interest})<-[:HAS_INTEREST]-(user:User)
WITH DISTINCT user
MATCH (user)-[:INTERACTED {split: 'train'}]->(item:Item)
WITH item, count(user) AS holders
RETURN item.id AS item, item.name AS name, holders,
       toFloat(holders) / COUNT { (item)<-[:INTERACTED {split: 'train'}]-(:User) } AS share
ORDER BY holders DESC, share DESC, item

// name: shared_interests(dataset, user, other) -> many
// The interests that two users share. Two look-ups by key, then both users' edges.
MATCH (user:User {uid: $dataset + ':' + $user}), (other:User {uid: $dataset + ':' + $other})
MATCH (user)-[:HAS_INTEREST]->(interest:Interest)<-[:HAS_INTEREST]-(other)
RETURN DISTINCT interest.id AS interest, interest.name AS name
ORDER BY interest

// name: unused_interests(dataset) -> many
// Interests that nobody has. Costs the dataset's interests.
MATCH (interest:Interest {dataset: $dataset})
WHERE NOT EXISTS { (interest)<-[:HAS_INTEREST]-(:User) }
RETURN interest.id AS interest, interest.name AS name
ORDER BY interest

// name: extraction_leaks(dataset) -> one
// How many LLM-made edges there are, and how many of them name no evidence or evidence that is not a train interaction
// of their user: must be 0. Costs all LLM-made edges times their evidence.
MATCH (user:User {dataset: $dataset})-[made:POSSESSES|HAS_INTEREST]->(target:Intent|Interest)
WHERE NOT (made:HAS_INTEREST AND target.source = 'imported')
WITH made, coalesce(made.evidence, []) AS evidence,
     COLLECT { MATCH (user)-[:INTERACTED {split: 'train'}]->(item:Item) RETURN item.id } AS train
WITH made, size(evidence) = 0 OR any(id IN evidence WHERE NOT id IN train) AS leaks
RETURN count(made) AS edges, count(CASE WHEN leaks THEN 1 END) AS leaks

// name: counts(dataset) -> one
// A dataset's nodes and edges by kind. Costs one pass over its users', items' and entities' edges.
RETURN COUNT { MATCH (user:User {dataset: $dataset}) RETURN user } AS users,
       COUNT { MATCH (item:Item {dataset: $dataset}) RETURN item } AS items,
       COUNT { MATCH (entity:Entity {dataset: $dataset}) RETURN entity } AS entities,
       COUNT { MATCH (intent:Intent {dataset: $dataset}) RETURN intent } AS intents,
       COUNT { MATCH (interest:Interest {dataset: $dataset}) RETURN interest } AS interests,
       COUNT { MATCH (:User {dataset: $dataset})-[edge:INTERACTED]->(:Item) RETURN edge } AS interactions,
       COUNT { MATCH (:User {dataset: $dataset})-[edge:POSSESSES]->(:Intent) RETURN edge } AS possesses,
       COUNT { MATCH (:User {dataset: $dataset})-[edge:HAS_INTEREST]->(:Interest) RETURN edge } AS has_interest,
       COUNT { MATCH (:Item|Entity {dataset: $dataset})-[edge]->(:Item|Entity) RETURN edge } AS facts
