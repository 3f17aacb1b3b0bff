// What SeeKRec's later stages read and write: the neighbourhood of a user or an item, what a model kept of it, and the
// profile that it made of that.

// name: user_neighbourhoods(dataset, job, users, limit) -> many
// Users, by their uids, with their latest training items and the intents that they have, each with its evidence. Edges that
// the job itself pruned are shown, since what it found before must not change what it is asked; others' are not. Two
// edges to one intent count as one. Keys: the dataset's runs of the job, the users' uids.
WITH COLLECT { MATCH (run:Run {dataset: $dataset, kind: 'extract', name: $job}) RETURN run.uid } AS own
UNWIND $users AS uid
MATCH (user:User {uid: uid})
RETURN user.id AS id,
       COLLECT {
         MATCH (user)-[seen:INTERACTED {split: 'train'}]->(item:Item)
         WITH item, coalesce(seen.at, 0) AS at ORDER BY at DESC, item.id LIMIT $limit
         RETURN {id: item.id, name: coalesce(item.name, item.id)}
       } AS chosen,
       COLLECT {
         MATCH (user)-[edge:POSSESSES]->(intent:Intent)
         WHERE edge.pruned_by IS NULL OR edge.pruned_by IN own
         UNWIND coalesce(edge.evidence, []) + [null] AS shown
         WITH intent, collect(DISTINCT shown) AS evidence ORDER BY size(evidence) DESC, intent.uid
         RETURN {uid: intent.uid, name: coalesce(intent.name, intent.id), evidence: evidence}
       } AS intents
ORDER BY id

// name: served_intents(dataset, job, items) -> many
// The intents that items, by their uids, serve; of the pruned ones those that the job itself pruned. Keys: the dataset's runs
// of the job, the items' uids.
WITH COLLECT { MATCH (run:Run {dataset: $dataset, kind: 'extract', name: $job}) RETURN run.uid } AS own
UNWIND $items AS uid
MATCH (item:Item {uid: uid})-[edge:SATISFIES]->(intent:Intent)
WHERE edge.pruned_by IS NULL OR edge.pruned_by IN own
WITH item, intent, min(coalesce(edge.round, 0)) AS round ORDER BY round, intent.uid
RETURN item.id AS item, collect({uid: intent.uid, name: coalesce(intent.name, intent.id)}) AS intents ORDER BY item

// name: resembling_items(items, relations, common, limit) -> many
// For items, by their uids, the others that share most facts with them, and through what. Things with more than `common`
// facts tell nothing; how many users chose them or are recommended them must not matter. Keys: the items' uids, then the facts of what they share.
UNWIND $items AS uid
MATCH (item:Item {uid: uid})
CALL (item) {
  MATCH (item)-[:$any($relations)]-(thing:Item|Entity)
  WHERE COUNT { MATCH (thing)-[fact:$any($relations)]-() RETURN fact LIMIT $common + 1 } <= $common
  MATCH (thing)-[:$any($relations)]-(other:Item) WHERE other <> item
  WITH other, collect(DISTINCT coalesce(thing.name, thing.id)) AS through
  ORDER BY size(through) DESC, other.uid LIMIT $limit
  RETURN collect({id: other.id, name: coalesce(other.name, other.id), through: through}) AS others
}
RETURN item.id AS item, others ORDER BY item

// name: items_chosen_together(items, readers, limit) -> many
// For items, by their uids, what their first so many users chose as well in training, and how many of them. Keys: the items'
// uids, then the histories of these users. Ties are broken by uid, which is read of those alone that may be among the first.
UNWIND $items AS uid
MATCH (item:Item {uid: uid})
CALL (item) {
  MATCH (item)<-[:INTERACTED {split: 'train'}]-(user)
  WITH item, user ORDER BY user.id LIMIT $readers
  MATCH (user)-[:INTERACTED {split: 'train'}]->(other) WHERE other <> item
  WITH other, count(*) AS users ORDER BY users DESC
  WITH collect({other: other, users: users}) AS counted
  WITH counted, coalesce(counted[$limit - 1].users, 0) AS least
  UNWIND counted AS each
  WITH each.other AS other, each.users AS users WHERE each.users >= least
  ORDER BY users DESC, other.uid LIMIT $limit
  RETURN collect({id: other.id, name: coalesce(other.name, other.id), users: users}) AS others
}
RETURN item.id AS item, others ORDER BY item

// name: keep_subgraphs(dataset, run, job, lease, rows) -> none
// Note what a model kept of the neighbourhoods of users or items (`label`), and mark those of their own intents that it left
// out as pruned; what the job pruned before and keeps now stands again. Interactions and facts are data and are never
// marked: the kept lines alone say what was chosen of them, and training reads all. Keys: the nodes' uids. The dataset is
// locked and counted first, as `replace_user_intents` explains.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.version = coalesce(dataset.version, 0) + 1
WITH dataset
MATCH (earlier:Run {dataset: $dataset, kind: 'extract', name: $job})
WITH collect(earlier.uid) AS own
UNWIND $rows AS row
MATCH (:Subject {uid: row.subject, lease: $lease})
MATCH (node:User|Item {uid: row.target}) WHERE row.label IN labels(node)
SET node.subgraph = row.lines, node.subgraph_items = row.items, node.subgraph_rounds = row.rounds,
    node.subgraph_sufficient = row.sufficient, node.subgraph_run = $run, node.subgraph_completion = row.completion
WITH own, row, node
CALL (own, node) {
  UNWIND own AS other
  MATCH (replaced:Subject {uid: other + '/' + node.id}) WHERE other <> $run
  SET replaced.state = 'cancelled', replaced.error = 'replaced by ' + $run
}
CALL (own, row, node) {
  MATCH (node)-[edge:POSSESSES|SATISFIES]->(intent:Intent)
  WHERE (edge.pruned_by IS NULL OR edge.pruned_by IN own)
    AND NOT EXISTS { MATCH (node)-[said:POSSESSES|SATISFIES]->(intent) WHERE said.pruned_by STARTS WITH 'person:' }
  SET edge.pruned_by = CASE WHEN intent.uid IN row.pruned THEN $run END,
      edge.pruned_reason = CASE WHEN intent.uid IN row.pruned THEN row.reason END
}

// name: kept_subgraphs(label, uids) -> many
// What was kept of the neighbourhoods of users or items (`label`), by their uids, and which of a user's items in it are still
// in train; null where no model was asked yet. Keys: the nodes' uids.
UNWIND $uids AS uid
MATCH (node:User|Item {uid: uid}) WHERE $label IN labels(node)
RETURN node.id AS id, node.subgraph AS lines, coalesce(node.subgraph_rounds, 0) AS rounds,
       CASE WHEN node:User THEN [item IN coalesce(node.subgraph_items, []) WHERE EXISTS {
         (node)-[:INTERACTED {split: 'train'}]->(:Item {uid: node.dataset + ':' + item})
       }] ELSE [node.id] END AS items
ORDER BY id

// name: replace_profiles(dataset, run, job, lease, rows) -> none
// Make the profiles of users or items (`label`), or replace their texts. A profile has one edge, with what it stands on. Keys:
// the nodes' and the profiles' uids. The dataset is locked and counted first, as `replace_user_intents` explains.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.version = coalesce(dataset.version, 0) + 1
WITH dataset
MATCH (earlier:Run {dataset: $dataset, kind: 'extract', name: $job})
WITH collect(earlier.uid) AS own
UNWIND $rows AS row
MATCH (:Subject {uid: row.subject, lease: $lease})
MATCH (node:User|Item {uid: row.target}) WHERE row.label IN labels(node)
MERGE (profile:Profile {uid: row.profile})
SET profile.dataset = $dataset, profile.id = row.profile_id, profile.name = coalesce(node.name, node.id),
    profile.text = row.text, profile.source = 'extracted', profile.run = $run
WITH own, row, node, profile
CALL (own, node) {
  UNWIND own AS other
  MATCH (replaced:Subject {uid: other + '/' + node.id}) WHERE other <> $run
  SET replaced.state = 'cancelled', replaced.error = 'replaced by ' + $run
}
CALL (profile) {
  MATCH (profile)-[old:DESCRIBES]->()
  DELETE old
}
CREATE (profile)-[:DESCRIBES {run: $run, completion: row.completion, round: 1, evidence: row.evidence}]->(node)
