// Where what stands in the graph came from, and whether it may be trusted. As in analysis.cypher, ids go in and come out
// as they are shown, and `cikg query NAME` runs these. Here pruned edges are often the point: each statement says so.

// name: find_labelled(label, uid) -> many
// A node of a label by its key, and where it is an intent that was merged, the id of the one it was merged into; or no
// row. One look-up by key.
MATCH (node:User|Item|Entity|Intent|Interest|Run {uid: $uid})
WHERE $label IN labels(node)
OPTIONAL MATCH (survivor:Intent {uid: node.merged_into})
RETURN node.id AS id, survivor.id AS merged_into

// == Provenance

// name: edge_provenance(dataset, kind, source, target) -> many
// Where an edge that an LLM wrote comes from: the run, the answer with its model and prompt, when, on what evidence, over
// which intents it was merged, and by whom and why it was pruned. Pruned edges are shown; one row an edge of that kind.
// Cost: local; two look-ups by key, then the edges between the two, and one look-up by key each for run, answer and item.
MATCH (source:User|Item|Profile|Intent {uid: $dataset + ':' + $source})
MATCH (target:Intent|Interest|User|Item {uid: $dataset + ':' + $target})
MATCH (source)-[edge:POSSESSES|SATISFIES|HAS_INTEREST|DESCRIBES|MEMBER_OF]->(target)
WHERE type(edge) = $kind
OPTIONAL MATCH (run:Run {uid: edge.run})
OPTIONAL MATCH (completion:Completion {uid: edge.completion})
RETURN coalesce(source.name, source.id) AS source, type(edge) AS kind, coalesce(target.name, target.id) AS target,
       run.id AS run, edge.round AS round, completion.id AS completion, completion.model AS model,
       completion.prompt AS prompt, completion.prompt_version AS prompt_version,
       toString(completion.created_at) AS answered_at,
       COLLECT {
         UNWIND edge.evidence AS id OPTIONAL MATCH (item:Item {uid: $dataset + ':' + id}) RETURN coalesce(item.name, id)
       } AS evidence,
       COLLECT { UNWIND edge.merged_from AS uid MATCH (phrase:Intent {uid: uid}) RETURN phrase.name } AS merged_from,
       edge.pruned_by AS pruned_by, edge.pruned_reason AS pruned_reason
ORDER BY run, completion, round

// name: edge_evidence(dataset, kind, source, target) -> many
// The evidence of an edge that an LLM wrote: the items, and what the edge's user did with each and when (UTC), if that is known.
// Cost: local; two look-ups by key, then the edges between the two and one look-up by key for each piece of evidence.
MATCH (source:User|Item|Profile {uid: $dataset + ':' + $source})
MATCH (target:Intent|Interest|User|Item {uid: $dataset + ':' + $target})
MATCH (source)-[edge:POSSESSES|SATISFIES|HAS_INTEREST|DESCRIBES]->(target)
WHERE type(edge) = $kind AND edge.pruned_by IS NULL
WITH CASE WHEN target:User THEN target ELSE source END AS user, edge
UNWIND edge.evidence AS id
WITH DISTINCT user, id
OPTIONAL MATCH (item:Item {uid: $dataset + ':' + id})
OPTIONAL MATCH (user)-[seen:INTERACTED]->(item)
RETURN id AS item, item.name AS name, seen.split AS split, seen.rating AS rating,
       CASE WHEN seen.at IS NOT NULL THEN toString(datetime({epochSeconds: toInteger(seen.at)})) END AS at
ORDER BY at, item

// name: written_by_run(dataset, run) -> many
// Everything a run wrote, by kind of edge: how many edges stand, how many were pruned since, from how many nodes to how
// many, and three samples. `edges_of_run` shows them all. Pruned edges are counted.
// Cost: local; the run's subjects by index, then their edges; for a clustering the dataset's interests and their edges, for
// imported answers its profiles.
MATCH (run:Run {uid: $dataset + ':' + $run})
CALL (run) {
  MATCH (subject:Subject {run: run.uid})
  CALL (subject) {
    MATCH (node:User {uid: $dataset + ':' + subject.id}) RETURN node
    UNION ALL
    MATCH (node:Item {uid: $dataset + ':' + subject.id}) RETURN node
    UNION ALL
    MATCH (node:Intent {uid: $dataset + ':' + subject.id}) RETURN node
    UNION ALL
    MATCH (node:Interest {uid: $dataset + ':' + subject.id}) RETURN node
  }
  MATCH (node)-[edge:POSSESSES|SATISFIES|HAS_INTEREST|DESCRIBES]-() WHERE edge.run = run.uid
  RETURN edge
  UNION
  MATCH (interest:Interest {dataset: $dataset})<-[edge:MEMBER_OF|HAS_INTEREST]-()
  WHERE interest.run = run.uid AND edge.run = run.uid
  RETURN edge
  UNION
  MATCH (profile:Profile {dataset: $dataset})-[edge:DESCRIBES]->()
  WHERE profile.run = run.uid AND edge.run = run.uid
  RETURN edge
}
WITH edge, startNode(edge) AS source, endNode(edge) AS target ORDER BY source.id, target.id
RETURN type(edge) AS kind, count(CASE WHEN edge.pruned_by IS NULL THEN 1 END) AS edges, count(edge.pruned_by) AS pruned,
       count(DISTINCT source) AS sources, count(DISTINCT target) AS targets,
       collect(coalesce(source.name, source.id) + ' → ' + coalesce(target.name, target.id))[..3] AS samples
ORDER BY kind

// name: edges_of_run(dataset, run, kind, skip, limit) -> many
// The edges of one kind that a run wrote, a page at a time, with the answer each came from. Pruned edges are shown.
// Cost: local; as `written_by_run`.
MATCH (run:Run {uid: $dataset + ':' + $run})
CALL (run) {
  MATCH (subject:Subject {run: run.uid})
  CALL (subject) {
    MATCH (node:User {uid: $dataset + ':' + subject.id}) RETURN node
    UNION ALL
    MATCH (node:Item {uid: $dataset + ':' + subject.id}) RETURN node
    UNION ALL
    MATCH (node:Intent {uid: $dataset + ':' + subject.id}) RETURN node
    UNION ALL
    MATCH (node:Interest {uid: $dataset + ':' + subject.id}) RETURN node
  }
  MATCH (node)-[edge:POSSESSES|SATISFIES|HAS_INTEREST|DESCRIBES]-() WHERE edge.run = run.uid AND type(edge) = $kind
  RETURN edge
  UNION
  MATCH (interest:Interest {dataset: $dataset})<-[edge:MEMBER_OF|HAS_INTEREST]-()
  WHERE interest.run = run.uid AND edge.run = run.uid AND type(edge) = $kind
  RETURN edge
  UNION
  MATCH (profile:Profile {dataset: $dataset})-[edge:DESCRIBES]->()
  WHERE profile.run = run.uid AND edge.run = run.uid AND type(edge) = $kind
  RETURN edge
}
WITH edge, startNode(edge) AS source, endNode(edge) AS target
ORDER BY source.id, target.id, edge.completion, elementId(edge) SKIP $skip LIMIT $limit
OPTIONAL MATCH (completion:Completion {uid: edge.completion})
RETURN source.id AS source, source.name AS name, target.id AS target, target.name AS target_name,
       edge.round AS round, completion.id AS completion, edge.pruned_by AS pruned_by
ORDER BY source, target, edge.completion, elementId(edge)

// name: edges_by_prompt(dataset) -> many
// How much each prompt and model contributed, and what of it was pruned: the edges that name an answer, by the answer's
// prompt, its version and model. Pruned edges are counted.
// Cost: global; one pass over the dataset's LLM-made edges, each with a look-up by key.
CALL () {
  MATCH (user:User {dataset: $dataset})-[edge:POSSESSES|HAS_INTEREST]->() USING INDEX user:User(dataset) RETURN edge
  UNION ALL
  MATCH (item:Item {dataset: $dataset})-[edge:SATISFIES]->() USING INDEX item:Item(dataset) RETURN edge
  UNION ALL
  MATCH (profile:Profile {dataset: $dataset})-[edge:DESCRIBES]->() USING INDEX profile:Profile(dataset) RETURN edge
}
WITH edge.completion AS key, type(edge) AS kind, count(*) AS edges, count(edge.pruned_by) AS pruned
MATCH (completion:Completion {uid: key})
WITH completion.prompt AS prompt, completion.prompt_version AS version, completion.model AS model, kind,
     sum(edges) AS edges, sum(pruned) AS pruned
RETURN prompt, version, model, kind, edges, pruned, toFloat(pruned) / edges AS share
ORDER BY prompt, version, model, kind

// name: pruned_edges(dataset, skip, limit) -> many
// What was pruned, by whom and why, a page at a time. `pruned_by` names what did it.
// Cost: global; one pass over the dataset's LLM-made edges.
CALL () {
  MATCH (source:User {dataset: $dataset})-[edge:POSSESSES|HAS_INTEREST]->(target:Intent|Interest)
  USING INDEX source:User(dataset)
  WHERE edge.pruned_by IS NOT NULL
  RETURN source, edge, target
  UNION ALL
  MATCH (source:Item {dataset: $dataset})-[edge:SATISFIES]->(target:Intent)
  USING INDEX source:Item(dataset)
  WHERE edge.pruned_by IS NOT NULL
  RETURN source, edge, target
  UNION ALL
  MATCH (source:Profile {dataset: $dataset})-[edge:DESCRIBES]->(target:User|Item)
  USING INDEX source:Profile(dataset)
  WHERE edge.pruned_by IS NOT NULL
  RETURN source, edge, target
}
WITH source, edge, target
ORDER BY type(edge), source.id, target.id, edge.completion, elementId(edge) SKIP $skip LIMIT $limit
RETURN type(edge) AS kind, source.id AS source, target.id AS target, target.name AS target_name,
       edge.pruned_by AS pruned_by, edge.pruned_reason AS reason
ORDER BY kind, source, target, edge.completion, elementId(edge)

// name: extraction_leaks(dataset) -> one
// How many edges an LLM made about users, and how many of them name no evidence or evidence that is not a training
// interaction of their user: must be 0. Pruned edges are checked too; what was imported has no evidence to check.
// Cost: global; the dataset's LLM-made edges times their evidence, and the histories of their users.
CALL () {
  MATCH (user:User {dataset: $dataset})-[made:POSSESSES|HAS_INTEREST]->(target:Intent|Interest)
  USING INDEX user:User(dataset)
  WHERE NOT (made:HAS_INTEREST AND coalesce(target.source, '') = 'imported')
  RETURN user, made
  UNION ALL
  MATCH (profile:Profile {dataset: $dataset})-[made:DESCRIBES]->(user:User)
  USING INDEX profile:Profile(dataset)
  WHERE coalesce(profile.source, '') <> 'imported'
  RETURN user, made
}
WITH user, collect(coalesce(made.evidence, [])) AS edges
WITH edges, COLLECT { MATCH (user)-[:INTERACTED {split: 'train'}]->(item:Item) RETURN item.id } AS train,
     COLLECT { UNWIND edges AS evidence UNWIND evidence AS id RETURN DISTINCT id } AS cited
WITH edges, [id IN cited WHERE NOT id IN train] AS foreign
UNWIND edges AS evidence
WITH size(evidence) = 0 OR any(id IN evidence WHERE id IN foreign) AS leaks
RETURN count(*) AS edges, count(CASE WHEN leaks THEN 1 END) AS leaks

// name: leaking_edges(dataset, skip, limit) -> many
// The edges that `extraction_leaks` counts, a page at a time: whose they are, the run that made them, and the `foreign`
// part of their evidence, empty where they name none.
// Cost: global; the dataset's LLM-made edges times their evidence, and the histories of their users.
CALL () {
  MATCH (user:User {dataset: $dataset})-[made:POSSESSES|HAS_INTEREST]->(target:Intent|Interest)
  USING INDEX user:User(dataset)
  WHERE NOT (made:HAS_INTEREST AND coalesce(target.source, '') = 'imported')
  RETURN user, made, target
  UNION ALL
  MATCH (profile:Profile {dataset: $dataset})-[made:DESCRIBES]->(user:User)
  USING INDEX profile:Profile(dataset)
  WHERE coalesce(profile.source, '') <> 'imported'
  RETURN user, made, profile AS target
}
WITH user, collect({made: made, target: target}) AS edges
WITH user, edges, COLLECT { MATCH (user)-[:INTERACTED {split: 'train'}]->(item:Item) RETURN item.id } AS train,
     COLLECT { UNWIND edges AS edge UNWIND edge.made.evidence AS id RETURN DISTINCT id } AS cited
WITH user, edges, [id IN cited WHERE NOT id IN train] AS foreign
UNWIND edges AS edge
WITH user, edge.made AS made, edge.target AS target, [id IN edge.made.evidence WHERE id IN foreign] AS foreign
WHERE size(coalesce(made.evidence, [])) = 0 OR size(foreign) > 0
RETURN type(made) AS kind, user.id AS user, target.id AS target, made.run AS run, coalesce(foreign, []) AS foreign
ORDER BY kind, user, target, run, elementId(made) SKIP $skip LIMIT $limit

// name: counts(dataset) -> one
// A dataset's nodes and edges by kind.
// Cost: global; one pass over its users', items' and entities' edges. Interactions are counted without reading them.
RETURN COUNT { MATCH (user:User {dataset: $dataset}) RETURN user } AS users,
       COUNT { MATCH (item:Item {dataset: $dataset}) RETURN item } AS items,
       COUNT { MATCH (entity:Entity {dataset: $dataset}) RETURN entity } AS entities,
       COUNT { MATCH (intent:Intent {dataset: $dataset}) WHERE intent.merged_into IS NULL RETURN intent } AS intents,
       COUNT { MATCH (interest:Interest {dataset: $dataset}) RETURN interest } AS interests,
       reduce(sum = 0, each IN COLLECT {
         MATCH (user:User {dataset: $dataset}) RETURN COUNT { (user)-[:INTERACTED]->() }
       } | sum + each) AS interactions,
       COUNT { MATCH (:User {dataset: $dataset})-[edge:POSSESSES]->(:Intent) WHERE edge.pruned_by IS NULL RETURN 1 } AS possesses,
       COUNT { MATCH (:Item {dataset: $dataset})-[edge:SATISFIES]->(:Intent) WHERE edge.pruned_by IS NULL RETURN 1 } AS satisfies,
       COUNT { MATCH (:User {dataset: $dataset})-[edge:HAS_INTEREST]->(:Interest) WHERE edge.pruned_by IS NULL RETURN 1 } AS has_interest,
       COUNT { MATCH (:Item|Entity {dataset: $dataset})-[edge]->(:Item|Entity) RETURN edge } AS facts
