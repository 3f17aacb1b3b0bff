// What jobs about users read beside their histories.

// name: user_profiles(users) -> many
// The text that was written about each user last: of the latest round, then the last by id. Keys: the users' uids.
UNWIND $users AS uid
MATCH (user:User {uid: uid})<-[describes:DESCRIBES]-(profile:Profile)
WHERE describes.pruned_by IS NULL AND profile.text IS NOT NULL
WITH user, profile ORDER BY coalesce(describes.round, 0) DESC, profile.id DESC
RETURN user.id AS user, head(collect(profile.text)) AS text ORDER BY user

// name: intents_near_users(dataset, uids, limit) -> many
// For some users, the ids and names of the intents nearest to any of their exact ones that they do not have themselves,
// the nearest first. One that was pruned is not offered again. Written for lexical_64 of intents (see
// embeddings.cypher). Keys: the users' uids, then one search of the index for each exact intent that any of them has.
UNWIND $uids AS uid
MATCH (user:User {uid: uid})-[own:POSSESSES]->(exact:Intent)
WHERE own.round = 1 AND own.pruned_by IS NULL AND exact.embedding_lexical_64 IS NOT NULL
WITH exact, collect(DISTINCT user) AS holders
CALL (exact) {
  MATCH (intent:Intent)
    SEARCH intent IN (
      VECTOR INDEX intent_lexical_64 FOR exact.embedding_lexical_64 WHERE intent.dataset = $dataset LIMIT $limit
    ) SCORE AS score
  WHERE intent.merged_into IS NULL
  RETURN collect({intent: intent, score: score}) AS around
}
UNWIND holders AS user
WITH user, collect(around) AS around
CALL (user, around) {
  MATCH (user)-[known:POSSESSES]->(intent:Intent) WHERE known.round = 1 OR known.pruned_by IS NOT NULL
  WITH around, collect(DISTINCT intent) AS known
  UNWIND around AS some
  UNWIND some AS one
  WITH one.intent AS intent, max(one.score) AS score, known
  WHERE NOT intent IN known
  WITH intent, score ORDER BY score DESC, intent.uid LIMIT $limit
  RETURN collect({id: intent.id, name: coalesce(intent.name, intent.id)}) AS intents
}
RETURN user.id AS id, intents ORDER BY id
