// What people say is wrong: an intent that somebody does not have or an item does not serve, an interest that somebody does
// not have. Nothing is deleted: the edge is pruned by `person:NAME`, and everything that leaves out pruned edges leaves it
// out: questions, pages, clustering, snapshots, and jobs that would find it again. What goes because something else was
// corrected is `pruned_along`: an interest with the last intent that leads to it, and what `settle_corrections` finds.
// `corrected` of a user or an item counts the changes: a list that was made at another count is not up to date.

// name: correct(dataset, label, node, intents, interests, by, reason) -> none
// Prune what a user or an item (`label`) is said to have, by uids. With an interest go the user's intents that led to it; with
// the last intent that leads to an interest goes the interest. What is pruned stays as it is. Keys: the node's, then its
// edges. The dataset is locked and counted first, as `replace_user_intents` explains.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.version = coalesce(dataset.version, 0) + 1
WITH dataset
MATCH (node:User|Item {uid: $node}) WHERE $label IN labels(node)
CALL (node) {
  MATCH (node)-[edge:POSSESSES|SATISFIES]->(intent:Intent)
  WHERE edge.pruned_by IS NULL AND (intent.uid IN $intents
    OR EXISTS { MATCH (intent)-[:MEMBER_OF]->(of:Interest) WHERE node:User AND of.uid IN $interests })
  SET edge.pruned_by = $by, edge.pruned_reason = $reason
  RETURN collect(DISTINCT intent) AS gone
}
CALL (node, gone) {
  MATCH (node)-[edge:HAS_INTEREST]->(interest:Interest)
  WHERE edge.pruned_by IS NULL AND (interest.uid IN $interests OR
    EXISTS { MATCH (intent:Intent)-[:MEMBER_OF]->(interest) WHERE intent IN gone }
    AND NOT EXISTS { MATCH (node)-[has:POSSESSES]->(:Intent)-[:MEMBER_OF]->(interest) WHERE has.pruned_by IS NULL })
  SET edge.pruned_by = $by, edge.pruned_reason = $reason,
      edge.pruned_along = CASE WHEN NOT interest.uid IN $interests THEN true END
  RETURN count(*) AS interests
}
WITH node WHERE size(gone) + interests > 0
SET node.corrected = coalesce(node.corrected, 0) + 1

// name: take_back_corrections(dataset, label, node, intents, interests) -> none
// Let stand again what people said a user or an item (`label`) has not, by uids: an interest with all intents that lead to
// it, an intent with the interests that it leads to. What a job pruned stays so. Keys: the node's, then its edges.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.version = coalesce(dataset.version, 0) + 1
WITH dataset
MATCH (node:User|Item {uid: $node}) WHERE $label IN labels(node)
CALL (node) {
  MATCH (node)-[edge:POSSESSES|SATISFIES]->(intent:Intent)
  WHERE edge.pruned_by STARTS WITH 'person:' AND (intent.uid IN $intents
    OR EXISTS { MATCH (intent)-[:MEMBER_OF]->(of:Interest) WHERE node:User AND of.uid IN $interests })
  SET edge.pruned_by = null, edge.pruned_reason = null, edge.pruned_along = null
  RETURN collect(DISTINCT intent) AS again
}
CALL (node, again) {
  MATCH (node)-[edge:HAS_INTEREST]->(interest:Interest)
  WHERE edge.pruned_by STARTS WITH 'person:' AND (interest.uid IN $interests OR
    EXISTS { MATCH (intent:Intent)-[:MEMBER_OF]->(interest) WHERE intent IN again })
  SET edge.pruned_by = null, edge.pruned_reason = null, edge.pruned_along = null
  RETURN count(*) AS interests
}
WITH node WHERE size(again) + interests > 0
SET node.corrected = coalesce(node.corrected, 0) + 1

// name: corrected_nodes(dataset, label, nodes) -> many
// Users or items (`label`) that something was corrected about: how often, and what stands corrected now; intents that lead to
// an interest which is corrected, too, are `implied` by it. By uids, or of the whole dataset where `nodes` is null. Keys: the
// nodes', or the dataset's.
CALL () {
  UNWIND $nodes AS uid
  MATCH (node:User|Item {uid: uid}) WHERE $label IN labels(node)
  RETURN node
  UNION ALL
  WITH * WHERE $nodes IS NULL AND $label = 'User'
  MATCH (node:User {dataset: $dataset})
  RETURN node
  UNION ALL
  WITH * WHERE $nodes IS NULL AND $label = 'Item'
  MATCH (node:Item {dataset: $dataset})
  RETURN node
}
WITH node WHERE node.corrected > 0
CALL (node) {
  MATCH (node)-[edge:HAS_INTEREST]->(interest:Interest) WHERE edge.pruned_by STARTS WITH 'person:'
  WITH interest, min(edge.pruned_by) AS by, min(edge.pruned_reason) AS reason
  ORDER BY coalesce(interest.name, interest.id), interest.id
  RETURN collect({kind: 'interest', id: interest.id, name: coalesce(interest.name, interest.id), by: substring(by, 7),
                  reason: coalesce(reason, '')}) AS interests
}
CALL (node) {
  MATCH (node)-[edge:POSSESSES|SATISFIES]->(intent:Intent) WHERE edge.pruned_by STARTS WITH 'person:'
  WITH intent, min(edge.pruned_by) AS by, min(edge.pruned_reason) AS reason, collect(edge.merged_from) AS over, EXISTS {
    MATCH (intent)-[:MEMBER_OF]->(:Interest)<-[whole:HAS_INTEREST]-(node) WHERE whole.pruned_by STARTS WITH 'person:'
  } AS implied
  ORDER BY coalesce(intent.name, intent.id), intent.id
  WITH implied, over, {kind: 'intent', id: intent.id, name: coalesce(intent.name, intent.id), by: substring(by, 7),
                       reason: coalesce(reason, '')} AS intent
  RETURN collect(CASE WHEN NOT implied THEN intent END) AS intents, collect(CASE WHEN implied THEN intent END) AS implied,
         collect(CASE WHEN NOT implied THEN over END) AS merged
}
RETURN node.id AS id, coalesce(node.name, node.id) AS name, node.corrected AS corrected, interests + intents AS rows, implied,
       COLLECT {
         UNWIND merged AS of UNWIND of AS over UNWIND over AS uid MATCH (phrase:Intent {uid: uid})
         RETURN DISTINCT phrase.id AS id ORDER BY id
       } AS merged
ORDER BY name, id

// name: said_of(label, node, kind, target) -> many
// Whether a user or an item (`label`) was ever said to have an intent or an interest (`kind`), and whether that stands; no row
// where it was not. Keys: both nodes'.
MATCH (node:User|Item {uid: $node}) WHERE $label IN labels(node)
MATCH (target:Intent|Interest {uid: $target}) WHERE $kind = toLower(labels(target)[0])
MATCH (node)-[edge:POSSESSES|SATISFIES|HAS_INTEREST]->(target)
WITH node, collect(edge.pruned_by IS NULL) AS standing
RETURN true IN standing AS stands

// name: count_change(dataset) -> none
// Say that something changed in a dataset, so that nobody shows an answer of before. Key: the dataset's.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.version = coalesce(dataset.version, 0) + 1
