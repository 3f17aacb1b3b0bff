// What the dashboard's pages read. Keys in, names and counts out; nothing here writes.
// Lists come whole with their total, cut to one page. Pruned edges and intents that were merged into another are left out;
// other counts of neighbours are degree look-ups, not traversals.

// name: list_datasets(datasets) -> many
// Some datasets, with what the overview says about each, in the order of their names. Keys: Dataset.uid; then counts.
UNWIND $datasets AS name
MATCH (dataset:Dataset {uid: name})
RETURN name AS id, dataset.field AS field, dataset.format AS format, dataset.source AS source, dataset.state AS state,
       dataset.interests AS interests, dataset.published AS published,
       COUNT { MATCH (:User {dataset: name}) } AS users,
       COUNT { MATCH (:Item {dataset: name}) } AS items,
       COUNT { MATCH (:Entity {dataset: name}) } AS entities,
       COUNT { MATCH (intent:Intent {dataset: name}) WHERE intent.merged_into IS NULL } AS intents,
       COUNT { MATCH (:Interest {dataset: name}) } AS interest_count
ORDER BY id

// name: edge_counts(dataset) -> one
// Interactions, facts and held interests of a dataset; what items offer is no fact. Cost: its nodes, by their degrees.
CALL () {
  MATCH (user:User {dataset: $dataset})
  RETURN sum(COUNT { (user)-[:INTERACTED]->() }) AS interactions,
         sum(COUNT { (user)-[has:HAS_INTEREST]->() WHERE has.pruned_by IS NULL }) AS held
}
CALL () {
  MATCH (item:Item {dataset: $dataset}) RETURN sum(COUNT { (item)-->() } - COUNT { (item)-[:SATISFIES]->() }) AS item_facts
}
CALL () {
  MATCH (entity:Entity {dataset: $dataset}) RETURN sum(COUNT { (entity)-->() }) AS entity_facts
}
RETURN interactions, held, item_facts + entity_facts AS facts

// name: top_interests(dataset, limit) -> many
// The interests with the most holders.
MATCH (interest:Interest {dataset: $dataset})
RETURN interest.id AS id, coalesce(interest.name, interest.id) AS name,
       COUNT { (interest)<-[held:HAS_INTEREST]-() WHERE held.pruned_by IS NULL } AS holders
ORDER BY holders DESC, id LIMIT $limit

// name: telling_recommendation(dataset) -> many
// A served recommendation to begin with, or no row: one near the top of its list whose interest rests on choices, several if
// that can be, and speaks for it more than others do. Cost: fifty holders of each of the twelve largest interests, and their lists.
MATCH (served:Dataset {uid: $dataset}) WHERE served.published IS NOT NULL
MATCH (interest:Interest {dataset: $dataset})
WITH served, interest, COUNT { (interest)<-[held:HAS_INTEREST]-() WHERE held.pruned_by IS NULL } AS holders
ORDER BY holders DESC, interest.id LIMIT 12
CALL (interest) {
  MATCH (interest)<-[held:HAS_INTEREST]-(user:User)
  WHERE held.pruned_by IS NULL AND size(held.evidence) > 0
  RETURN user, size(held.evidence) AS choices LIMIT 50
}
MATCH (user)-[edge:RECOMMENDED]->(:Item)
WHERE edge.model = served.published AND edge.because = interest.uid AND edge.rank <= 3 AND edge.share > 0
RETURN user.id AS user, interest.id AS interest, edge.rank AS rank
ORDER BY choices > 1 DESC, edge.support * log(toFloat(edge.support) / edge.cohort / edge.share) DESC, user, rank LIMIT 1

// name: browse_users(dataset, text, by, skip, limit) -> one
// One page of users whose name or id contains a text (lower case; '' for all), each with the interests that rest on most
// evidence; in the order of their ids, or those first with most `by`: 'interactions', 'interests'. Cost: the dataset's users.
MATCH (user:User {dataset: $dataset})
WHERE $text = '' OR toLower(user.id) CONTAINS $text OR toLower(user.name) CONTAINS $text
WITH user ORDER BY CASE $by
  WHEN 'interactions' THEN -COUNT { (user)-[:INTERACTED]->() }
  WHEN 'interests' THEN -COUNT { (user)-[has:HAS_INTEREST]->() WHERE has.pruned_by IS NULL }
END, toIntegerOrNull(user.id), user.id
WITH collect(user) AS found
RETURN size(found) AS total, COLLECT {
  UNWIND found[$skip..$skip + $limit] AS user
  RETURN {id: user.id, name: user.name, interactions: COUNT { (user)-[:INTERACTED]->() },
          interests: COUNT { (user)-[has:HAS_INTEREST]->() WHERE has.pruned_by IS NULL },
          about: COLLECT {
            MATCH (user)-[has:HAS_INTEREST]->(interest:Interest) WHERE has.pruned_by IS NULL
            RETURN coalesce(interest.name, interest.id) AS name
            ORDER BY size(coalesce(has.evidence, [])) DESC, interest.id LIMIT 3
          }}
} AS rows

// name: browse_items(dataset, text, by, skip, limit) -> one
// One page of items whose name or id contains a text, most read first or `by` their 'facts', each with what it shares with
// the fewest others. Facts are all edges but those of users, models and jobs: that is counted by degrees. Cost: the dataset's
// items, and what leads out of those shown: their readers lead into them.
MATCH (item:Item {dataset: $dataset})
WHERE $text = '' OR toLower(item.id) CONTAINS $text OR toLower(item.name) CONTAINS $text
WITH item, COUNT { (item)<-[:INTERACTED]-() } AS readers
WITH item, readers, COUNT { (item)--() } - readers - COUNT { (item)<-[:RECOMMENDED]-() }
                    - COUNT { (item)-[:SATISFIES]->() } - COUNT { (item)<-[:DESCRIBES]-() } AS facts
ORDER BY CASE $by WHEN 'facts' THEN -facts END, readers DESC, item.id
WITH collect({id: item.id, name: coalesce(item.name, item.id), readers: readers, facts: facts, item: item}) AS found
RETURN size(found) AS total, COLLECT {
  UNWIND found[$skip..$skip + $limit] AS row
  WITH row, row.item AS item
  RETURN {id: row.id, name: row.name, readers: row.readers, facts: row.facts,
          about: COLLECT {
            MATCH (item)-[fact]->(other:Item|Entity) WHERE fact.relation IS NOT NULL
            WITH DISTINCT other, COUNT { (other)--() } AS degree
            RETURN coalesce(other.name, other.id) AS name ORDER BY degree < 2, degree, other.id LIMIT 3
          }}
} AS rows

// name: browse_entities(dataset, text, skip, limit) -> one
// One page of entities whose name or id contains a text, most connected first, each with the relations of some of its
// facts. Cost: the dataset's entities.
MATCH (entity:Entity {dataset: $dataset})
WHERE $text = '' OR toLower(entity.id) CONTAINS $text OR toLower(entity.name) CONTAINS $text
WITH entity, COUNT { (entity)--() } AS facts ORDER BY facts DESC, entity.id
WITH collect({id: entity.id, name: coalesce(entity.name, entity.id), facts: facts, entity: entity}) AS found
RETURN size(found) AS total, COLLECT {
  UNWIND found[$skip..$skip + $limit] AS row
  WITH row, row.entity AS entity
  RETURN {id: row.id, name: row.name, facts: row.facts, about: COLLECT {
    MATCH (entity)-[fact]-() WHERE fact.relation IS NOT NULL
    WITH fact.relation AS relation LIMIT 100
    RETURN DISTINCT relation ORDER BY relation
  }}
} AS rows

// name: browse_intents(dataset, text, by, skip, limit) -> one
// One page of intents whose name or id contains a text, most possessed first or `by` their 'items', each with the interests
// that it is part of. Cost: the dataset's intents.
MATCH (intent:Intent {dataset: $dataset})
WHERE intent.merged_into IS NULL
  AND ($text = '' OR toLower(intent.id) CONTAINS $text OR toLower(intent.name) CONTAINS $text)
WITH intent, COUNT {
  MATCH (intent)<-[has:POSSESSES]-(user:User) WHERE has.pruned_by IS NULL RETURN DISTINCT user
} AS users, COUNT {
  MATCH (intent)<-[gives:SATISFIES]-(item:Item) WHERE gives.pruned_by IS NULL RETURN DISTINCT item
} AS items
ORDER BY CASE $by WHEN 'items' THEN -items END, users DESC, items DESC, intent.id
WITH collect({id: intent.id, name: coalesce(intent.name, intent.id), users: users, items: items, intent: intent}) AS found
RETURN size(found) AS total, COLLECT {
  UNWIND found[$skip..$skip + $limit] AS row
  WITH row, row.intent AS intent
  RETURN {id: row.id, name: row.name, users: row.users, items: row.items, about: COLLECT {
    MATCH (intent)-[:MEMBER_OF]->(interest:Interest)
    RETURN DISTINCT coalesce(interest.name, interest.id) AS name ORDER BY name LIMIT 3
  }}
} AS rows

// name: pairs_of_intent(intent) -> many
// What was thought of an intent and others that may mean the same, what waits for a verdict first; nothing waits where one
// of both was merged. Key: Intent.uid.
MATCH (one:Intent {uid: $intent})-[same:SAME_AS]-()
WITH startNode(same) AS intent, endNode(same) AS into, same
WHERE same.state <> 'proposed' OR (intent.merged_into IS NULL AND into.merged_into IS NULL)
RETURN intent.id AS intent, coalesce(intent.name, intent.id) AS name, into.id AS into,
       coalesce(into.name, into.id) AS into_name, same.state AS state, same.method AS method, same.score AS score,
       same.history AS history
ORDER BY state = 'proposed' DESC, score DESC, intent, into

// name: browse_interests(dataset, text, by, skip, limit) -> one
// One page of interests whose name or id contains a text, most held first or `by` their 'intents', each with some of its
// phrases. Cost: the dataset's interests.
MATCH (interest:Interest {dataset: $dataset})
WHERE $text = '' OR toLower(interest.id) CONTAINS $text OR toLower(interest.name) CONTAINS $text
WITH interest, COUNT { (interest)<-[held:HAS_INTEREST]-() WHERE held.pruned_by IS NULL } AS holders,
     COUNT {
       MATCH (interest)<-[:MEMBER_OF]-(intent:Intent) WHERE intent.merged_into IS NULL RETURN DISTINCT intent
     } AS intents
ORDER BY CASE $by WHEN 'intents' THEN -intents END, holders DESC, interest.id
WITH collect({id: interest.id, name: coalesce(interest.name, interest.id), holders: holders, intents: intents, interest: interest}) AS found
RETURN size(found) AS total, COLLECT {
  UNWIND found[$skip..$skip + $limit] AS row
  WITH row, row.interest AS interest
  RETURN {id: row.id, name: row.name, holders: row.holders, source: interest.source, intents: row.intents,
          about: COLLECT {
            MATCH (interest)<-[:MEMBER_OF]-(intent:Intent) WHERE intent.merged_into IS NULL
            WITH DISTINCT intent, COUNT { (intent)<-[:POSSESSES]-() } AS users
            RETURN intent.name AS name ORDER BY users DESC, name LIMIT 3
          }}
} AS rows

// name: user_history(user, limit) -> one
// What a user did, newest first, cut to a length, with the total.
MATCH (user:User {uid: $user})
RETURN COUNT { (user)-[:INTERACTED]->() } AS total, COLLECT {
  MATCH (user)-[edge:INTERACTED]->(item:Item)
  RETURN {id: item.id, name: coalesce(item.name, item.id), split: edge.split, rating: edge.rating, at: edge.at}
  ORDER BY edge.at IS NULL, edge.at DESC, item.name, item.id LIMIT $limit
} AS rows

// name: user_interests(user) -> many
// A user's interests: phrases that led to each, the evidence, and how many others hold it.
MATCH (user:User {uid: $user})-[edge:HAS_INTEREST]->(interest:Interest)
WHERE edge.pruned_by IS NULL
RETURN interest.id AS id, coalesce(interest.name, interest.id) AS name, interest.source AS source,
       COUNT { (interest)<-[held:HAS_INTEREST]-() WHERE held.pruned_by IS NULL } AS holders,
       COLLECT {
         MATCH (user)-[has:POSSESSES]->(intent:Intent)-[:MEMBER_OF]->(interest)
         WHERE has.pruned_by IS NULL AND intent.merged_into IS NULL
         RETURN DISTINCT intent.name AS name ORDER BY name
       } AS phrases,
       COLLECT {
         UNWIND coalesce(edge.evidence, []) AS evidence
         MATCH (item:Item {uid: user.dataset + ':' + evidence})
         RETURN {id: item.id, name: coalesce(item.name, item.id)}
       } AS evidence
ORDER BY size(evidence) DESC, name

// name: user_intents(user) -> many
// The phrases that an LLM inferred for a user, each once, with its evidence and the answer that it came from first.
MATCH (user:User {uid: $user})-[edge:POSSESSES]->(intent:Intent)
WHERE edge.pruned_by IS NULL AND intent.merged_into IS NULL
WITH user, intent, edge ORDER BY edge.round, edge.completion
WITH user, intent, collect(edge) AS edges
OPTIONAL MATCH (completion:Completion {uid: edges[0].completion})
RETURN intent.id AS id, intent.name AS name, edges[0].round AS round, completion.id AS completion,
       COLLECT {
         UNWIND edges AS each
         UNWIND coalesce(each.evidence, []) AS evidence
         MATCH (item:Item {uid: user.dataset + ':' + evidence})
         RETURN DISTINCT {id: item.id, name: coalesce(item.name, item.id)}
       } AS evidence
ORDER BY size(evidence) DESC, name

// name: item_detail(item) -> many
// One item with its counts, or no row.
MATCH (item:Item {uid: $item})
OPTIONAL MATCH (served:Dataset {uid: item.dataset})
RETURN item.id AS id, coalesce(item.name, item.id) AS name, item.text AS text,
       COUNT { (item)<-[:INTERACTED]-() } AS readers,
       COUNT { (item)<-[edge:RECOMMENDED]-() WHERE edge.model = served.published } AS recommended

// name: thing_facts(label, thing, limit) -> many
// The facts of an item or entity by relation and direction, each cut to a length, with the totals; the rarest first,
// since they say most.
MATCH (thing:Item|Entity {uid: $thing})
WHERE $label IN labels(thing)
MATCH (thing)-[fact]-(other:Item|Entity)
WHERE fact.relation IS NOT NULL
WITH fact.relation AS relation, startNode(fact) = thing AS forward, other
ORDER BY COUNT { (other)--() }, other.uid
WITH relation, forward, collect(DISTINCT other) AS others
RETURN relation, forward, size(others) AS total,
       [other IN others[..$limit] | {id: other.id, name: coalesce(other.name, other.id), label: head(labels(other))}] AS shown
ORDER BY total, relation, forward DESC

// name: item_readers(item, limit) -> many
// Some of the users who chose an item, newest first.
MATCH (:Item {uid: $item})<-[edge:INTERACTED]-(user:User)
RETURN user.id AS id, user.name AS name, edge.split AS split, edge.rating AS rating, edge.at AS at
ORDER BY at IS NULL, at DESC, toIntegerOrNull(id), id LIMIT $limit

// name: item_interests(item, limit) -> many
// The interests whose holders chose an item more often than everyone: those first that account for most readers beyond
// the average. Each row has the total. Cost: readers × their interests, then each interest's holders once.
MATCH (item:Item {uid: $item})
WITH item, COUNT { MATCH (item)<-[edge:INTERACTED]-() WHERE edge.split <> 'test' } AS readers,
     COUNT { MATCH (:User {dataset: item.dataset}) } AS users
MATCH (item)<-[edge:INTERACTED]-(user)-[has:HAS_INTEREST]->(interest)
WHERE edge.split <> 'test' AND has.pruned_by IS NULL
WITH interest, count(DISTINCT user) AS support, toFloat(readers) / users AS share
WHERE support >= 2
WITH interest, support, share, COUNT { (interest)<-[held:HAS_INTEREST]-() WHERE held.pruned_by IS NULL } AS cohort
WITH interest, support, cohort, share, toFloat(support) / cohort / share AS lift
WHERE lift > 1
WITH interest, support, cohort, share, lift ORDER BY support * log(lift) DESC, interest.id
WITH collect({id: interest.id, name: coalesce(interest.name, interest.id), support: support, cohort: cohort, share: share,
              lift: lift}) AS found
UNWIND found[..$limit] AS row
RETURN row.id AS id, row.name AS name, row.support AS support, row.cohort AS cohort, row.share AS share,
       row.lift AS lift, size(found) AS total

// name: interest_detail(interest) -> many
// One interest with its counts, or no row.
MATCH (interest:Interest {uid: $interest})
RETURN interest.id AS id, coalesce(interest.name, interest.id) AS name, interest.source AS source, interest.run AS run,
       COUNT { (interest)<-[held:HAS_INTEREST]-() WHERE held.pruned_by IS NULL } AS holders,
       COUNT {
         MATCH (interest)<-[:MEMBER_OF]-(intent:Intent) WHERE intent.merged_into IS NULL RETURN DISTINCT intent
       } AS intent_count

// name: interest_holders(interest, limit) -> many
// Some of an interest's holders, those with the most evidence first.
MATCH (:Interest {uid: $interest})<-[edge:HAS_INTEREST]-(user:User)
WHERE edge.pruned_by IS NULL
RETURN user.id AS id, user.name AS name, size(coalesce(edge.evidence, [])) AS evidence
ORDER BY evidence DESC, toIntegerOrNull(id), id LIMIT $limit

// name: interest_intents(interest, limit) -> many
// The phrases that make up an interest, most used first.
MATCH (:Interest {uid: $interest})<-[:MEMBER_OF]-(intent:Intent)
WHERE intent.merged_into IS NULL
WITH DISTINCT intent
RETURN intent.id AS id, intent.name AS name,
       COUNT { MATCH (intent)<-[has:POSSESSES]-(user:User) WHERE has.pruned_by IS NULL RETURN DISTINCT user } AS users
ORDER BY users DESC, name LIMIT $limit

// name: interest_items(interest, limit) -> many
// What an interest's holders chose more often than everyone, in the order of `item_interests`, each with the total. Cost:
// holders × their histories.
MATCH (interest:Interest {uid: $interest})
WITH interest, COUNT { (interest)<-[held:HAS_INTEREST]-() WHERE held.pruned_by IS NULL } AS cohort,
     COUNT { MATCH (:User {dataset: interest.dataset}) } AS users
MATCH (interest)<-[has:HAS_INTEREST]-(user)-[edge:INTERACTED]->(item)
WHERE edge.split <> 'test' AND has.pruned_by IS NULL
WITH cohort, users, item, count(DISTINCT user) AS support
WHERE support >= 2
WITH cohort, item, support,
     toFloat(COUNT { MATCH (item)<-[edge:INTERACTED]-() WHERE edge.split <> 'test' }) / users AS share
WITH item, support, cohort, share, toFloat(support) / cohort / share AS lift
WHERE lift > 1
WITH item, support, cohort, share, lift ORDER BY support * log(lift) DESC, item.id
WITH collect({id: item.id, name: coalesce(item.name, item.id), support: support, cohort: cohort, share: share,
              lift: lift}) AS found
UNWIND found[..$limit] AS row
RETURN row.id AS id, row.name AS name, row.support AS support, row.cohort AS cohort, row.share AS share,
       row.lift AS lift, size(found) AS total

// name: entity_detail(entity) -> many
// One entity, or no row.
MATCH (entity:Entity {uid: $entity})
RETURN entity.id AS id, coalesce(entity.name, entity.id) AS name

// name: browse_runs(dataset, kinds, limit) -> many
// The newest runs of some kinds, of one dataset or ('') of all. Scan: Run, which has one node a job or training.
MATCH (run:Run)
WHERE ($dataset = '' OR run.dataset = $dataset) AND run.kind IN $kinds
RETURN run.uid AS uid, run.dataset AS dataset, run.id AS id, run.kind AS kind, run.name AS name, run.state AS state,
       run.total AS total, toString(run.created_at) AS created_at, toString(run.started_at) AS started_at,
       toString(run.finished_at) AS finished_at, run.error AS error,
       COUNT { MATCH (subject:Subject {run: run.uid}) } AS subjects,
       COUNT { MATCH (subject:Subject {run: run.uid})
               WHERE subject.state IN ['done', 'failed', 'quarantined', 'cancelled'] } AS finished
ORDER BY coalesce(created_at, started_at) DESC, uid LIMIT $limit

// name: run_detail(run) -> many
// Everything that is known of one run, or no row.
MATCH (run:Run {uid: $run})
RETURN run {.*, created_at: toString(run.created_at), started_at: toString(run.started_at),
            finished_at: toString(run.finished_at)} AS run

// name: run_states(run) -> many
// How many of a run's subjects are in each state.
MATCH (subject:Subject {run: $run})
RETURN subject.state AS state, count(*) AS subjects ORDER BY state

// name: run_subjects(run, state, limit) -> many
// Some subjects of a run, in one state or ('') any; those that went wrong first.
MATCH (subject:Subject {run: $run})
WHERE $state = '' OR subject.state = $state
WITH subject, CASE subject.state WHEN 'failed' THEN 0 WHEN 'quarantined' THEN 1 WHEN 'running' THEN 2 ELSE 3 END AS urgency
ORDER BY urgency, subject.uid LIMIT $limit
OPTIONAL MATCH (user:User {uid: subject.dataset + ':' + subject.id}) WHERE subject.kind = 'User'
OPTIONAL MATCH (item:Item {uid: subject.dataset + ':' + subject.id}) WHERE subject.kind = 'Item'
OPTIONAL MATCH (completion:Completion {uid: subject.completion})
RETURN subject.id AS id, coalesce(user.name, item.name) AS name, subject.kind AS kind, subject.state AS state, subject.attempts AS attempts,
       subject.error AS error, completion.id AS completion, toString(subject.updated_at) AS updated_at
ORDER BY urgency, subject.uid

// name: completion_detail(completion) -> many
// One answer of an LLM with its prompt, and the subjects that it served; or no row.
MATCH (completion:Completion {uid: $completion})
RETURN completion {.*, created_at: toString(completion.created_at)} AS completion

// name: published_runs(dataset) -> many
// The runs of a dataset that were published, and which of them is served.
MATCH (model:Model {dataset: $dataset})
MATCH (served:Dataset {uid: $dataset})
RETURN model.id AS run, toString(model.published_at) AS published_at,
       coalesce(served.published = model.uid, false) AS served

// name: training_runs(dataset, limit) -> many
// A dataset's training runs, newest first.
MATCH (run:Run {dataset: $dataset, kind: 'train'})
WITH run ORDER BY coalesce(run.created_at, run.started_at) DESC, run.id LIMIT $limit
RETURN run {.*, created_at: toString(run.created_at), started_at: toString(run.started_at),
            finished_at: toString(run.finished_at)} AS run

// name: training_of_method(dataset, method, run, snapshot) -> many
// The newest training run of a method but for one run, on a snapshot where there is such a run, else on any.
MATCH (run:Run {dataset: $dataset, kind: 'train', name: $method}) WHERE run.uid <> $run
WITH run
ORDER BY coalesce(run.snapshot = $snapshot, false) DESC, coalesce(run.created_at, run.started_at) DESC, run.id LIMIT 1
RETURN run {.*, created_at: toString(run.created_at), started_at: toString(run.started_at),
            finished_at: toString(run.finished_at)} AS run

// name: search_names(dataset, query, limit) -> many
// Users, items, entities, interests and intents of a dataset by full text over their names, items before phrases that fit as
// well. `query` is Lucene syntax.
CALL db.index.fulltext.queryNodes('names', $query) YIELD node, score
WHERE node.dataset = $dataset AND node.merged_into IS NULL
RETURN head(labels(node)) AS label, node.id AS id, coalesce(node.name, node.id) AS name, COUNT { (node)--() } AS degree,
       score
ORDER BY CASE label WHEN 'Item' THEN 1.25 ELSE 1 END * score DESC, degree DESC, id LIMIT $limit

// name: search_texts(dataset, query, limit) -> many
// Items, entities, intents, interests and profiles of a dataset by full text over their names and texts. `query` is
// Lucene syntax. Cost: what matches in all datasets.
CALL db.index.fulltext.queryNodes('texts', $query) YIELD node, score
WHERE node.dataset = $dataset AND node.merged_into IS NULL
RETURN head(labels(node)) AS label, node.id AS id, coalesce(node.name, node.id) AS name, left(node.text, 200) AS text,
       score
ORDER BY score DESC, label, id LIMIT $limit

// name: search_id(uid) -> many
// What carries exactly this key.
MATCH (node:User|Item|Entity|Interest|Intent {uid: $uid})
RETURN head(labels(node)) AS label, node.id AS id, coalesce(node.name, node.id) AS name, COUNT { (node)--() } AS degree,
       1.0 AS score
ORDER BY label

// name: neighbours(label, uid, cap, pruned) -> many
// The neighbours of a node, at most `cap` a relationship type, with the totals: by facts the rarest that lead on,
// else the best connected. Only the served model's recommendations count, and no pairs of intents that differ; pruned
// edges where they are asked for, with the reason. Cost: the node's degree.
MATCH (centre:User|Item|Entity|Interest|Intent {uid: $uid})
WHERE $label IN labels(centre)
OPTIONAL MATCH (served:Dataset {uid: centre.dataset})
MATCH (centre)-[edge]-(other:User|Item|Entity|Interest|Intent)
WHERE (type(edge) <> 'RECOMMENDED' OR edge.model = served.published)
  AND ($pruned OR edge.pruned_by IS NULL) AND other.merged_into IS NULL
  AND NOT coalesce(edge.state, '') IN ['rejected', 'undone']
WITH type(edge) AS type, elementId(centre) AS centre, other, min(edge.rank) AS rank, min(edge.relation) AS relation,
     CASE WHEN count(edge.pruned_by) = count(edge) THEN coalesce(min(edge.pruned_reason), 'pruned') END AS pruned
WITH *, COUNT { (other)--() } AS degree
ORDER BY coalesce(rank, 0), degree < 2, CASE WHEN relation IS NULL THEN -degree ELSE degree END, other.uid
WITH type, centre, collect({other: other, pruned: pruned}) AS others
RETURN type, centre, size(others) AS total,
       [row IN others[..$cap] | {key: elementId(row.other), label: head(labels(row.other)), id: row.other.id,
                                 name: coalesce(row.other.name, row.other.id), pruned: row.pruned}] AS shown
ORDER BY type

// name: edges_between(keys, pruned) -> many
// The edges among the shown nodes, pruned ones where they are asked for. Keys are element ids from `neighbours` and
// `nodes_at`, so each is one look-up. Cost: what leads out of the nodes; comparing nodes takes a tenth of comparing their
// element ids, which are texts that are made for each edge.
MATCH (node) WHERE elementId(node) IN $keys
WITH collect(node) AS nodes
OPTIONAL MATCH (served:Dataset {uid: nodes[0].dataset})
UNWIND nodes AS source
MATCH (source)-[edge]->(target)
WHERE target IN nodes AND (type(edge) <> 'RECOMMENDED' OR edge.model = served.published)
  AND ($pruned OR edge.pruned_by IS NULL) AND NOT coalesce(edge.state, '') IN ['rejected', 'undone']
RETURN elementId(source) AS source, elementId(target) AS target, type(edge) AS type,
       count(edge.pruned_by) = count(edge) AS pruned

// name: nodes_at(rows) -> many
// Nodes by label and key, those that there are. One look-up by key a row.
UNWIND $rows AS row
MATCH (node:User|Item|Entity|Interest|Intent {uid: row.uid})
WHERE row.label IN labels(node)
RETURN elementId(node) AS key, head(labels(node)) AS label, node.id AS id, coalesce(node.name, node.id) AS name

// name: dataset_names() -> many
// Names of all datasets, for the switch on every page. Scan: Dataset, which has one node a dataset.
MATCH (dataset:Dataset)
WHERE dataset.uid IS NOT NULL
RETURN dataset.uid AS id, dataset.field AS field ORDER BY id
