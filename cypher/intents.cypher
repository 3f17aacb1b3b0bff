// name: history_users(dataset) -> many
// The users that have a training history, which is all that extraction may look at.
MATCH (user:User {dataset: $dataset})
WHERE EXISTS { (user)-[:INTERACTED {split: 'train'}]->(:Item) }
RETURN user.id AS user ORDER BY user

// name: user_histories(users, limit) -> one
// The latest training items of users, by their uids, in the order of their ids. Items without a time come in the order of
// their ids. All in one row: to receive a row costs a worker more than to find it costs the server.
UNWIND $users AS uid
MATCH (user:User {uid: uid})-[seen:INTERACTED {split: 'train'}]->(item:Item)
WITH user, item ORDER BY coalesce(seen.at, 0) DESC, item.id
WITH user.id AS user, collect(item.id)[..$limit] AS items ORDER BY user
RETURN collect({user: user, items: items}) AS histories

// name: item_cards(items, relations, limit) -> one
// What is known about items, by their uids: name, text, and at most `limit` things for each relation. The dataset's
// fact types are named, so that interactions are none. All in one row, as `user_histories`.
UNWIND $items AS uid
MATCH (item:Item {uid: uid})
OPTIONAL MATCH (item)-[fact:$any($relations)]-(thing:Item|Entity)
WITH item, fact.relation AS relation, thing.name AS name ORDER BY name
WITH item, relation, collect(DISTINCT name)[..$limit] AS names ORDER BY relation
WITH item, collect(CASE WHEN relation IS NOT NULL THEN {relation: relation, names: names} END) AS facts
RETURN collect({item: item.id, name: item.name, text: item.text, facts: facts}) AS cards

// name: replace_user_intents(dataset, run, job, lease, rows) -> none
// Replace what a job found about users by what it finds now; other jobs' edges stay. Keys: the users' and intents'
// uids, and for an edge its run. The dataset is written first: its lock makes concurrent writers take turns, and its
// version tells readers that the graph changed. An intent's name is the least of its spellings, so that it does not
// depend on who came first. An intent that was merged gives its edges to the one it was merged into. An intent that
// nobody has any more is removed, unless somebody judged whether it means the same as another: that is not asked again. Edges are created, since this deletes those of
// earlier runs and of an earlier attempt of this one. A pruned edge stays pruned when the job finds it again, and stays
// when it does not, as long as any of its evidence is in train: nobody has to reject the same intent twice. What a person
// said holds for other jobs' edges, too, and for phrases that were merged, those along with it (`settle_corrections`).
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.version = coalesce(dataset.version, 0) + 1
WITH dataset
MATCH (earlier:Run {dataset: $dataset, kind: 'extract', name: $job})
WITH collect(earlier.uid) AS runs
CALL (runs) {
  UNWIND $rows AS row
  MATCH (:Subject {uid: row.subject, lease: $lease})
  MATCH (user:User {uid: row.target})
  UNWIND runs AS other
  OPTIONAL MATCH (replaced:Subject {uid: other + '/' + user.id})
  WHERE other <> $run
  SET replaced.state = 'cancelled', replaced.error = 'replaced by ' + $run
  WITH DISTINCT user, runs
  MATCH (user)-[old:POSSESSES]->(intent:Intent)
  WHERE old.run IN runs
  WITH user, intent, old, CASE WHEN old.pruned_by IS NOT NULL THEN properties(old) END AS was
  DELETE old
  RETURN collect(DISTINCT intent) AS loose,
         collect(CASE WHEN was IS NOT NULL THEN {user: user.uid, intent: intent.uid, was: was} END) AS pruned
}
CALL (pruned) {
  UNWIND $rows AS row
  MATCH (:Subject {uid: row.subject, lease: $lease})
  MATCH (user:User {uid: row.target})
  UNWIND row.intents AS found
  MERGE (intent:Intent {uid: found.uid})
  ON CREATE SET intent.dataset = $dataset, intent.id = found.id, intent.name = found.name
  SET intent.name = CASE WHEN found.name < intent.name THEN found.name ELSE intent.name END
  WITH user, row, found, intent
  MATCH merged = (intent) (()-[same:SAME_AS WHERE same.state = 'merged']->())* (standing:Intent)
  WHERE standing.merged_into IS NULL
  WITH user, row, found, standing, [one IN nodes(merged)[..-1] | one.uid] AS over,
       [each IN pruned WHERE each.user = user.uid AND each.intent = standing.uid | each.was] + COLLECT {
         MATCH (user)-[said:POSSESSES]->(standing) WHERE said.pruned_by STARTS WITH 'person:' RETURN properties(said)
       } AS befores
  WITH user, row, found, standing, over, befores,
       head([was IN befores WHERE coalesce(was.merged_from, []) = over]) AS same
  WITH user, row, found, standing, over, same, coalesce(same, head(befores)) AS before
  CREATE (user)-[edge:POSSESSES {run: $run}]->(standing)
  SET edge.completion = row.completion, edge.round = coalesce(row.round, 1), edge.evidence = found.evidence,
      edge.merged_from = CASE WHEN over <> [] THEN over END,
      edge.pruned_by = before.pruned_by, edge.pruned_reason = before.pruned_reason,
      edge.pruned_along = CASE WHEN same IS NULL AND before.pruned_by STARTS WITH 'person:' THEN true
                               ELSE before.pruned_along END
  RETURN count(*) AS written
}
CALL (pruned) {
  UNWIND pruned AS before
  MATCH (user:User {uid: before.user}), (intent:Intent {uid: before.intent})
  WHERE NOT EXISTS {
    (user)-[now:POSSESSES]->(intent)
    WHERE now.run = $run AND coalesce(now.merged_from, []) = coalesce(before.was.merged_from, [])
  }
  WITH user, intent, before,
       COLLECT { MATCH (user)-[:INTERACTED {split: 'train'}]->(i:Item) WHERE i.id IN before.was.evidence RETURN i.id } AS shown
  WHERE size(shown) > 0
  CREATE (user)-[edge:POSSESSES]->(intent)
  SET edge = before.was, edge.evidence = shown
  RETURN count(*) AS kept
}
UNWIND loose AS intent
WITH DISTINCT intent
WHERE NOT EXISTS { (intent)<-[:POSSESSES|SATISFIES]-() }
  AND NOT EXISTS { (intent)-[same:SAME_AS]-() WHERE same.state <> 'proposed' }
DETACH DELETE intent
