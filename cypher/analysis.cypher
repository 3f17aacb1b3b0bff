// Questions a person asks. Ids go in and come out as they are shown; `cikg query NAME` runs them, docs/queries.md shows
// each at work, and `cikg.graph.questions` says what the parameters mean. Unless a statement says otherwise, edges that
// were pruned and intents that were merged into another are left out, and who has an intent twice counts once.
// What a statement costs: local ones begin at a node that is looked up by key, global ones at all nodes of a kind.

// == Intents

// name: intents_by_holders(dataset, limit) -> many
// The intents that most users possess, and how many items satisfy each.
// Cost: global; one pass over the dataset's intents and their holders.
MATCH (intent:Intent {dataset: $dataset})
WHERE intent.merged_into IS NULL
WITH intent, COUNT {
  MATCH (intent)<-[has:POSSESSES]-(user:User) WHERE has.pruned_by IS NULL RETURN DISTINCT user
} AS holders
ORDER BY holders DESC, intent.id LIMIT $limit
RETURN intent.id AS intent, intent.name AS name, holders, COUNT {
  MATCH (intent)<-[suits:SATISFIES]-(item:Item) WHERE suits.pruned_by IS NULL RETURN DISTINCT item
} AS items
ORDER BY holders DESC, intent

// name: intent_profile(dataset, intent) -> one
// All about one intent: who has it and what satisfies it, its interests, how many edges were extracted exactly (round 1)
// and as related (round 2), how many were pruned, the phrases merged into it, and the runs that wrote it.
// Cost: local; one look-up by key, then the intent's edges.
MATCH (intent:Intent {uid: $dataset + ':' + $intent})
WHERE intent.merged_into IS NULL
RETURN intent.id AS intent, intent.name AS name,
  COUNT { MATCH (intent)<-[has:POSSESSES]-(user:User) WHERE has.pruned_by IS NULL RETURN DISTINCT user } AS holders,
  COUNT { MATCH (intent)<-[suits:SATISFIES]-(item:Item) WHERE suits.pruned_by IS NULL RETURN DISTINCT item } AS items,
  COLLECT {
    MATCH (intent)-[:MEMBER_OF]->(interest:Interest) RETURN DISTINCT interest.name AS name ORDER BY name
  } AS interests,
  COUNT { (intent)<-[edge:POSSESSES|SATISFIES]-() WHERE edge.pruned_by IS NULL AND edge.round = 1 } AS exact,
  COUNT { (intent)<-[edge:POSSESSES|SATISFIES]-() WHERE edge.pruned_by IS NULL AND edge.round = 2 } AS related,
  COUNT { (intent)<-[edge:POSSESSES|SATISFIES]-() WHERE edge.pruned_by IS NOT NULL } AS pruned,
  COLLECT {
    MATCH (intent) (()<-[same:SAME_AS WHERE same.state = 'merged']-()){1,} (phrase:Intent)
    RETURN DISTINCT phrase.name AS name ORDER BY name
  } AS merged,
  COLLECT {
    MATCH (intent)<-[edge:POSSESSES|SATISFIES]-() WHERE edge.pruned_by IS NULL
    WITH DISTINCT edge.run AS key
    MATCH (run:Run {uid: key}) RETURN run.id AS id ORDER BY id
  } AS runs

// name: users_by_intent(dataset, intent, limit) -> many
// The users who possess an intent, those with the most evidence first.
// Cost: local; one look-up by key, then the intent's edges.
MATCH (intent:Intent {uid: $dataset + ':' + $intent})<-[has:POSSESSES]-(user:User)
WHERE intent.merged_into IS NULL AND has.pruned_by IS NULL
WITH user, min(has.round) AS round, collect(has.evidence) AS cited
RETURN user.id AS user, user.name AS name, round,
       COUNT { UNWIND cited AS items UNWIND items AS item RETURN DISTINCT item } AS evidence
ORDER BY evidence DESC, user LIMIT $limit

// name: items_by_intent(dataset, intent, limit) -> many
// The items that satisfy an intent: exactly (round 1) before related ones, the most popular first.
// Cost: local; one look-up by key, then the intent's edges. An item's interactions are counted without reading them.
MATCH (intent:Intent {uid: $dataset + ':' + $intent})<-[suits:SATISFIES]-(item:Item)
WHERE intent.merged_into IS NULL AND suits.pruned_by IS NULL
WITH item, min(suits.round) AS round
RETURN item.id AS item, item.name AS name, round, COUNT { (item)<-[:INTERACTED]-() } AS interactions
ORDER BY round, interactions DESC, item LIMIT $limit

// name: overlaps_of_intent(dataset, intent, least, limit) -> many
// What the holders of an intent possess besides: intents by the Jaccard index of their holders, which is the number of
// users who have both over the number who have either. Pairs with fewer than `least` common holders are left out. The 100
// with the most common holders are compared: those bound the index, which is at most their share of the intent's holders.
// Cost: local, two steps; one look-up by key, then the holders' intents and the holders of 100 of those.
MATCH (intent:Intent {uid: $dataset + ':' + $intent})<-[has:POSSESSES]-(user:User)
WHERE intent.merged_into IS NULL AND has.pruned_by IS NULL
WITH intent, collect(DISTINCT user) AS holders
UNWIND holders AS user
MATCH (user)-[also:POSSESSES]->(other:Intent)
WHERE also.pruned_by IS NULL AND other.merged_into IS NULL AND other <> intent
WITH size(holders) AS holders, other, count(DISTINCT user) AS shared
WHERE shared >= $least
WITH holders, other, shared ORDER BY shared DESC, other.id LIMIT 100
WITH holders, other, shared, COUNT {
  MATCH (other)<-[edge:POSSESSES]-(user:User) WHERE edge.pruned_by IS NULL RETURN DISTINCT user
} AS other_holders
RETURN other.id AS intent, other.name AS name, shared, other_holders AS holders,
       toFloat(shared) / (holders + other_holders - shared) AS jaccard
ORDER BY jaccard DESC, shared DESC, intent LIMIT $limit

// name: rising_intents(dataset, from, to, smoothing, least, limit) -> many
// Intents that gain in a window of time. `recent` counts the interactions in [from, to) that are evidence of an intent,
// of as many `users`, and `before` those earlier than `from`; an interaction that shows two intents counts for both.
// Each becomes a share of all intents' evidence in its time, (count + smoothing) / (total + smoothing × number of
// intents), so that a rare intent does not rise by one interaction; lift is the one share over the other. Intents with
// a lift above 1 and at least `least` users in the window are shown.
// Cost: global; the dataset's POSSESSES edges times their evidence, each piece a look-up by key.
MATCH (user:User {dataset: $dataset})-[has:POSSESSES]->(intent:Intent)
USING INDEX user:User(dataset)
WHERE has.pruned_by IS NULL AND intent.merged_into IS NULL
UNWIND has.evidence AS cited
MATCH (item:Item {uid: $dataset + ':' + cited})
MATCH (user)-[seen:INTERACTED]->(item)
WHERE seen.split = 'train' AND seen.at < $to
WITH DISTINCT intent, user, seen
WITH intent, count(CASE WHEN seen.at >= $from THEN 1 END) AS recent, count(CASE WHEN seen.at < $from THEN 1 END) AS before,
     count(DISTINCT CASE WHEN seen.at >= $from THEN user END) AS users
WITH collect({intent: intent, recent: recent, before: before, users: users}) AS rows,
     sum(recent) + $smoothing * count(*) AS all_recent, sum(before) + $smoothing * count(*) AS all_before
UNWIND rows AS row
WITH row, toFloat(row.recent + $smoothing) / all_recent / (toFloat(row.before + $smoothing) / all_before) AS lift
WHERE row.users >= $least AND lift > 1
RETURN row.intent.id AS intent, row.intent.name AS name, row.recent AS recent, row.users AS users, row.before AS before,
       lift
ORDER BY lift DESC, recent DESC, intent LIMIT $limit

// name: unsatisfied_intents(dataset, least, limit) -> many
// Gaps in the catalogue: intents that at least `least` users possess and no item satisfies, the most wanted first.
// Cost: global; one pass over the dataset's intents and the holders of those that no item satisfies.
MATCH (intent:Intent {dataset: $dataset})
WHERE intent.merged_into IS NULL
  AND NOT EXISTS { (intent)<-[suits:SATISFIES]-(:Item) WHERE suits.pruned_by IS NULL }
WITH intent, COUNT {
  MATCH (intent)<-[has:POSSESSES]-(user:User) WHERE has.pruned_by IS NULL RETURN DISTINCT user
} AS holders
WHERE holders >= $least
RETURN intent.id AS intent, intent.name AS name, holders
ORDER BY holders DESC, intent LIMIT $limit

// name: unused_intents(dataset, limit) -> many
// Intents that nobody possesses, those that most items satisfy first.
// Cost: global; one pass over the dataset's intents and the items of those that nobody possesses.
MATCH (intent:Intent {dataset: $dataset})
WHERE intent.merged_into IS NULL
  AND NOT EXISTS { (intent)<-[has:POSSESSES]-(:User) WHERE has.pruned_by IS NULL }
RETURN intent.id AS intent, intent.name AS name, COUNT {
  MATCH (intent)<-[suits:SATISFIES]-(item:Item) WHERE suits.pruned_by IS NULL RETURN DISTINCT item
} AS items
ORDER BY items DESC, intent LIMIT $limit

// == Users

// name: intents_of_user(dataset, user) -> many
// A user's intents, the interests they belong to, and the items each was inferred from.
// Cost: local; one look-up by key, then the user's edges.
MATCH (user:User {uid: $dataset + ':' + $user})-[has:POSSESSES]->(intent:Intent)
WHERE has.pruned_by IS NULL AND intent.merged_into IS NULL
WITH intent, min(has.round) AS round, collect(has.evidence) AS cited
RETURN intent.id AS intent, intent.name AS name, round,
       COLLECT {
         MATCH (intent)-[:MEMBER_OF]->(interest:Interest) RETURN DISTINCT interest.name AS name ORDER BY name
       } AS interests,
       COLLECT { UNWIND cited AS items UNWIND items AS item RETURN DISTINCT item ORDER BY item } AS evidence
ORDER BY round, size(evidence) DESC, intent

// name: shared_intents(dataset, user, other) -> many
// The intents that two users share, and the items that show it of each.
// Cost: local; two look-ups by key, then both users' edges.
MATCH (user:User {uid: $dataset + ':' + $user}), (other:User {uid: $dataset + ':' + $other})
MATCH (user)-[has:POSSESSES]->(intent:Intent)<-[too:POSSESSES]-(other)
WHERE has.pruned_by IS NULL AND too.pruned_by IS NULL AND intent.merged_into IS NULL
WITH intent, collect(has.evidence) AS cited, collect(too.evidence) AS other_cited
RETURN intent.id AS intent, intent.name AS name,
       COLLECT { UNWIND cited AS items UNWIND items AS item RETURN DISTINCT item ORDER BY item } AS evidence,
       COLLECT { UNWIND other_cited AS items UNWIND items AS item RETURN DISTINCT item ORDER BY item } AS other_evidence
ORDER BY intent

// name: users_without_intents(dataset, limit) -> many
// Users that nothing was inferred about, or all of it pruned, those with the longest training history first.
// Cost: global; one pass over the dataset's users, and the histories of those that may be among the first: who has fewer
// interactions in all than the last of the `limit` with the most has in training cannot be.
MATCH (user:User {dataset: $dataset})
WHERE NOT EXISTS {
  (user)-[has:POSSESSES]->(intent:Intent) WHERE has.pruned_by IS NULL AND intent.merged_into IS NULL
}
WITH user, COUNT { (user)-[:INTERACTED]->() } AS most ORDER BY most DESC
WITH collect({user: user, most: most}) AS found
WITH found, CASE WHEN size(found) > $limit THEN COLLECT {
  UNWIND found[..$limit] AS first
  WITH first.user AS user
  RETURN COUNT { (user)-[:INTERACTED {split: 'train'}]->() } AS interactions ORDER BY interactions LIMIT 1
}[0] ELSE 0 END AS least
UNWIND found AS each
WITH each.user AS user WHERE each.most >= least
RETURN user.id AS user, user.name AS name, COUNT { (user)-[:INTERACTED {split: 'train'}]->() } AS interactions
ORDER BY interactions DESC, user LIMIT $limit

// name: bridge_to_item(dataset, user, item, limit) -> many
// Why an item would suit a user: what leads from the one to the other. First the intents that the user possesses and
// the item satisfies, exact before related ones; then the user's interests with an intent that the item satisfies; then
// facts that the item shares with the user's training history, the rarest first. `evidence` names up to five items of
// that history; `by` says which of the item's intents or which relation makes the bridge.
// Cost: local; two look-ups by key, then both nodes' edges and the facts of the user's 500 latest training items.
MATCH (user:User {uid: $dataset + ':' + $user}), (item:Item {uid: $dataset + ':' + $item})
CALL (user, item) {
  MATCH (user)-[has:POSSESSES]->(intent:Intent)<-[suits:SATISFIES]-(item)
  WHERE has.pruned_by IS NULL AND suits.pruned_by IS NULL AND intent.merged_into IS NULL
  WITH intent, min(has.round + suits.round) AS rounds, collect(has.evidence) AS cited
  WITH intent, rounds, COLLECT { UNWIND cited AS items UNWIND items AS id RETURN DISTINCT id ORDER BY id } AS evidence
  RETURN 'intent' AS through, intent AS node, [] AS by, evidence, [1, rounds, -size(evidence)] AS place
  UNION ALL
  MATCH (user)-[has:HAS_INTEREST]->(interest:Interest)<-[:MEMBER_OF]-(intent:Intent)<-[suits:SATISFIES]-(item)
  WHERE has.pruned_by IS NULL AND suits.pruned_by IS NULL AND intent.merged_into IS NULL
    AND NOT EXISTS { (user)-[own:POSSESSES]->(intent) WHERE own.pruned_by IS NULL }
  WITH DISTINCT interest, intent, has ORDER BY intent.name
  WITH interest, collect(DISTINCT intent.name) AS intents, collect(has.evidence)[0] AS cited
  WITH interest, intents, coalesce(cited, []) AS evidence
  RETURN 'interest' AS through, interest AS node, intents AS by, evidence, [2, -size(intents), -size(evidence)] AS place
  UNION ALL
  CALL (item) {
    MATCH (item)-[fact]->(thing:Item|Entity) WHERE fact.relation IS NOT NULL RETURN collect(DISTINCT thing) AS things
  }
  CALL (user, item) {
    MATCH (user)-[seen:INTERACTED]->(known:Item) WHERE seen.split = 'train' AND known <> item
    RETURN known ORDER BY coalesce(seen.at, 0) DESC, known.id LIMIT 500
  }
  MATCH (known)-[fact]->(thing:Item|Entity)
  WHERE thing IN things AND EXISTS { (item)-[same]->(thing) WHERE same.relation = fact.relation }
  WITH thing, fact.relation AS relation, collect(DISTINCT known.id) AS evidence
  RETURN 'fact' AS through, thing AS node, [relation] AS by, evidence, [3, COUNT { (thing)<--() }, -size(evidence)] AS place
}
WITH through, node, by, evidence, place ORDER BY place, node.id, by LIMIT $limit
RETURN through, node.id AS id, coalesce(node.name, node.id) AS name, by, COLLECT {
  UNWIND evidence[..5] AS id MATCH (known:Item {uid: $dataset + ':' + id}) RETURN coalesce(known.name, id)
} AS evidence
ORDER BY place, id, by

// == Items

// name: intents_of_item(dataset, item) -> many
// The intents that an item satisfies, exact before related ones, and the interests they belong to.
// Cost: local; one look-up by key, then the item's edges.
MATCH (item:Item {uid: $dataset + ':' + $item})-[suits:SATISFIES]->(intent:Intent)
WHERE suits.pruned_by IS NULL AND intent.merged_into IS NULL
WITH intent, min(suits.round) AS round
RETURN intent.id AS intent, intent.name AS name, round,
       COLLECT {
         MATCH (intent)-[:MEMBER_OF]->(interest:Interest) RETURN DISTINCT interest.name AS name ORDER BY name
       } AS interests
ORDER BY round, intent

// name: items_without_intents(dataset, limit) -> many
// Items that satisfy no intent, the most popular first.
// Cost: global; one pass over the dataset's items. Interactions are counted without reading them.
MATCH (item:Item {dataset: $dataset})
WHERE NOT EXISTS {
  (item)-[suits:SATISFIES]->(intent:Intent) WHERE suits.pruned_by IS NULL AND intent.merged_into IS NULL
}
RETURN item.id AS item, item.name AS name, COUNT { (item)<-[:INTERACTED]-() } AS interactions
ORDER BY interactions DESC, item LIMIT $limit

// name: cold_items(dataset, most, least, limit) -> many
// Items that hardly anybody knows and many would want: at most `most` training interactions, and an intent satisfied
// that at least `least` users possess. `intents` counts such intents, `strongest` is the one with the most holders.
// Cost: global; one pass over the dataset's POSSESSES and SATISFIES edges. Of a popular item no more interactions are
// read than tell that it is not cold.
MATCH (intent:Intent {dataset: $dataset})
WHERE intent.merged_into IS NULL
WITH intent, COUNT {
  MATCH (intent)<-[has:POSSESSES]-(user:User) WHERE has.pruned_by IS NULL RETURN DISTINCT user
} AS holders
WHERE holders >= $least
MATCH (intent)<-[suits:SATISFIES]-(item:Item)
WHERE suits.pruned_by IS NULL
WITH DISTINCT item, intent, holders ORDER BY holders DESC, intent.id
WITH item, count(*) AS intents, max(holders) AS holders, collect(intent.name)[0] AS strongest
WITH *, COUNT { MATCH (item)<-[seen:INTERACTED]-() WHERE seen.split = 'train' RETURN seen LIMIT $most + 1 } AS interactions
WHERE interactions <= $most
RETURN item.id AS item, item.name AS name, interactions, intents, strongest, holders
ORDER BY holders DESC, intents DESC, item LIMIT $limit

// == Interests

// name: users_by_interest(dataset, interest, limit) -> many
// The users who have an interest, those with the most evidence first.
// Cost: local; one look-up by key, then the interest's edges.
MATCH (:Interest {uid: $dataset + ':' + $interest})<-[has:HAS_INTEREST]-(user:User)
WHERE has.pruned_by IS NULL
RETURN user.id AS user, user.name AS name, size(coalesce(has.evidence, [])) AS evidence
ORDER BY evidence DESC, user LIMIT $limit

// name: interests_of_user(dataset, user) -> many
// A user's interests, and the items each was inferred from.
// Cost: local; one look-up by key, then the user's edges.
MATCH (user:User {uid: $dataset + ':' + $user})-[has:HAS_INTEREST]->(interest:Interest)
WHERE has.pruned_by IS NULL
RETURN interest.id AS interest, interest.name AS name, interest.source AS source, has.evidence AS evidence
ORDER BY interest

// name: shared_interests(dataset, user, other) -> many
// The interests that two users share.
// Cost: local; two look-ups by key, then both users' edges.
MATCH (user:User {uid: $dataset + ':' + $user}), (other:User {uid: $dataset + ':' + $other})
MATCH (user)-[has:HAS_INTEREST]->(interest:Interest)<-[too:HAS_INTEREST]-(other)
WHERE has.pruned_by IS NULL AND too.pruned_by IS NULL
RETURN DISTINCT interest.id AS interest, interest.name AS name
ORDER BY interest

// name: intents_of_interest(dataset, interest, limit) -> many
// The intents that make up an interest, those with the most holders first.
// Cost: local, two steps; one look-up by key, then the interest's intents and their holders.
MATCH (:Interest {uid: $dataset + ':' + $interest})<-[:MEMBER_OF]-(intent:Intent)
WHERE intent.merged_into IS NULL
WITH DISTINCT intent
RETURN intent.id AS intent, intent.name AS name, COUNT {
  MATCH (intent)<-[has:POSSESSES]-(user:User) WHERE has.pruned_by IS NULL RETURN DISTINCT user
} AS holders
ORDER BY holders DESC, intent LIMIT $limit

// name: items_of_interest(dataset, interest, limit) -> many
// What the holders of an interest have in common: items by the number of holders who had them in train, and the share
// of an item's training users who are holders.
// Cost: local, two steps; one look-up by key, then the holders' interactions and those of the items shown.
MATCH (:Interest {uid: $dataset + ':' + $interest})<-[has:HAS_INTEREST]-(user:User)
WHERE has.pruned_by IS NULL
WITH DISTINCT user
MATCH (user)-[:INTERACTED {split: 'train'}]->(item)
WITH item, count(DISTINCT user) AS holders
ORDER BY holders DESC, item.id LIMIT $limit
RETURN item.id AS item, item.name AS name, holders,
       toFloat(holders) / COUNT { (item)<-[:INTERACTED {split: 'train'}]-() } AS share
ORDER BY holders DESC, item

// name: overlaps_of_interest(dataset, interest, least, limit) -> many
// Which interests overlap with one: by the Jaccard index of their holders, which is the number of users who have both
// over the number who have either. Pairs with fewer than `least` common holders are left out. The 100 with the most
// common holders are compared: those bound the index, which is at most their share of the interest's holders.
// Cost: local, two steps; one look-up by key, then the holders' interests and the holders of 100 of those.
MATCH (interest:Interest {uid: $dataset + ':' + $interest})<-[has:HAS_INTEREST]-(user:User)
WHERE has.pruned_by IS NULL
WITH interest, collect(DISTINCT user) AS holders
UNWIND holders AS user
MATCH (user)-[also:HAS_INTEREST]->(other:Interest)
WHERE also.pruned_by IS NULL AND other <> interest
WITH size(holders) AS holders, other, count(DISTINCT user) AS shared
WHERE shared >= $least
WITH holders, other, shared ORDER BY shared DESC, other.id LIMIT 100
WITH holders, other, shared, COUNT { (other)<-[edge:HAS_INTEREST]-() WHERE edge.pruned_by IS NULL } AS other_holders
RETURN other.id AS interest, other.name AS name, shared, other_holders AS holders,
       toFloat(shared) / (holders + other_holders - shared) AS jaccard
ORDER BY jaccard DESC, shared DESC, interest LIMIT $limit

// name: overlapping_interests(dataset, least, limit) -> many
// All pairs of interests with at least `least` common holders, by the Jaccard index of their holders.
// Cost: global; for each of the dataset's users the pairs of their interests.
MATCH (interest:Interest {dataset: $dataset})<-[has:HAS_INTEREST]-(user:User)-[also:HAS_INTEREST]->(other:Interest)
USING INDEX interest:Interest(dataset)
WHERE has.pruned_by IS NULL AND also.pruned_by IS NULL AND interest.id < other.id
WITH interest, other, count(DISTINCT user) AS shared
WHERE shared >= $least
WITH interest, collect({other: other, shared: shared}) AS pairs
WITH interest, pairs, COUNT { (interest)<-[edge:HAS_INTEREST]-() WHERE edge.pruned_by IS NULL } AS holders
UNWIND pairs AS pair
WITH pair.other AS other, collect({interest: interest, holders: holders, shared: pair.shared}) AS pairs
WITH other, pairs, COUNT { (other)<-[edge:HAS_INTEREST]-() WHERE edge.pruned_by IS NULL } AS other_holders
UNWIND pairs AS pair
RETURN pair.interest.id AS interest, pair.interest.name AS name, other.id AS other, other.name AS other_name,
       pair.shared AS shared, toFloat(pair.shared) / (pair.holders + other_holders - pair.shared) AS jaccard
ORDER BY jaccard DESC, shared DESC, interest, other LIMIT $limit

// name: unused_interests(dataset, limit) -> many
// Interests that nobody has.
// Cost: global; one pass over the dataset's interests.
MATCH (interest:Interest {dataset: $dataset})
WHERE NOT EXISTS { (interest)<-[has:HAS_INTEREST]-(:User) WHERE has.pruned_by IS NULL }
RETURN interest.id AS interest, interest.name AS name
ORDER BY interest LIMIT $limit

// == Recommendations

// name: recommendations(dataset, limit) -> many
// Everything that is served: each user's list in the order of its ranks, with the interest that explains each item.
// Cost: global; one pass over the dataset's recommendations.
MATCH (served:Dataset {uid: $dataset})
MATCH (user:User {dataset: $dataset})-[edge:RECOMMENDED]->(item:Item)
WHERE edge.model = served.published
OPTIONAL MATCH (interest:Interest {uid: edge.because})
WHERE NOT EXISTS { MATCH (user)-[has:HAS_INTEREST]->(interest) WHERE has.pruned_by IS NOT NULL }
RETURN user.id AS user, edge.rank AS rank, item.id AS item, item.name AS name, edge.score AS score,
       interest.name AS because
ORDER BY user, rank LIMIT $limit
