// What is served: recommendations of the published model, and how a model is published.
// A user's recommendations are those edges whose `model` equals the dataset's `published`; all others are unseen, so
// that a new model's edges can be written beside the served ones and take their place in one transaction. Those of the
// model that was served before stay, so that going back to it is one transaction too.

// name: register_model(uid, dataset, id, method, manifest) -> none
// Make the node of a model that is about to be published. Key: Model.uid.
MERGE (model:Model {uid: $uid})
SET model.dataset = $dataset, model.id = $id, model.run = $id, model.method = $method, model.manifest = $manifest

// name: write_recommendations(model, rows) -> none
// Give each user exactly the recommendations of its row under this model. Rows: {user, corrected, items: [{item, rank,
// score, because, support, cohort, share, experts, shares}]}, sorted by user. Keys: User.uid, Item.uid; other models' edges
// stay. `corrected` says which corrections the list heeds (see corrections.cypher); null where there was none.
UNWIND $rows AS row
MATCH (user:User {uid: row.user})
CALL (user, row) {
  WITH [entry IN row.items | entry.item] AS kept
  MATCH (user)-[stale:RECOMMENDED {model: $model}]->(item:Item)
  WHERE NOT item.uid IN kept
  DELETE stale
}
CALL (user, row) {
  UNWIND row.items AS entry
  MATCH (item:Item {uid: entry.item})
  MERGE (user)-[edge:RECOMMENDED {model: $model}]->(item)
  SET edge.rank = entry.rank, edge.score = entry.score, edge.because = entry.because,
      edge.support = entry.support, edge.cohort = entry.cohort, edge.share = entry.share,
      edge.experts = entry.experts, edge.shares = entry.shares, edge.corrected = row.corrected
}

// name: length_of_list(user, model) -> one
// How many items a model recommends to a user. Key: the user's, then their recommendations.
RETURN COUNT { MATCH (:User {uid: $user})-[edge:RECOMMENDED]->() WHERE edge.model = $model } AS items

// name: switch_model(dataset, model, expected, users, explained, digest) -> many
// Serve a model from now on, but only if all its edges are there; returns one row, or none when edges are missing.
// Publishing the served model again changes nothing. What is written first locks the dataset, so that nobody removes an
// edge between the count and the switch. Cost: one pass over the dataset's recommendations.
MATCH (held:Dataset {uid: $dataset})
SET held.id = held.id
WITH count(held) AS locked
MATCH (served:Dataset {uid: $dataset}), (model:Model {uid: $model})
WHERE COUNT { MATCH (:User {dataset: $dataset})-[edge:RECOMMENDED]->(:Item) WHERE edge.model = $model } = $expected
SET model.published_at = CASE
      WHEN served.published = $model AND model.published_at IS NOT NULL THEN model.published_at
      ELSE datetime()
    END,
    model.recommendations = $expected, model.users = $users, model.explained = $explained, model.digest = $digest,
    served.published = $model
RETURN model.published_at AS published_at

// name: formerly_served(dataset) -> many
// The model that was served before the present one, or no row: the one to go back to. Cost: the dataset's published models.
MATCH (served:Dataset {uid: $dataset})
MATCH (model:Model {dataset: $dataset})
WHERE model.uid <> served.published AND model.published_at IS NOT NULL
WITH model ORDER BY model.published_at DESC LIMIT 1
RETURN model.uid AS model, model.id AS run, model.method AS method, toString(model.published_at) AS published_at

// name: serve_former(dataset, present, model) -> many
// Serve a model again whose edges are all still there, in the place of the present one; returns what it holds, or no row when
// edges are missing or another model is served by now. Locks the dataset, as `switch_model` does. Keys: Dataset.uid,
// Model.uid. Cost: one pass over the dataset's recommendations.
MATCH (held:Dataset {uid: $dataset})
SET held.id = held.id
WITH count(held) AS locked
MATCH (served:Dataset {uid: $dataset, published: $present}), (model:Model {uid: $model})
WHERE model.recommendations > 0 AND model.recommendations =
      COUNT { MATCH (:User {dataset: $dataset})-[edge:RECOMMENDED]->(:Item) WHERE edge.model = $model }
SET model.published_at = datetime(), served.published = $model
RETURN model.id AS run, coalesce(model.users, 0) AS users, model.recommendations AS recommendations,
       coalesce(model.explained, 0.0) AS explained

// name: model_facts(model) -> many
// What a model holds that was published, or no row. Key: Model.uid.
MATCH (model:Model {uid: $model})
WHERE model.published_at IS NOT NULL
RETURN model.id AS run, coalesce(model.users, 0) AS users, coalesce(model.recommendations, 0) AS recommendations,
       coalesce(model.explained, 0.0) AS explained

// name: users_with_other_models(dataset, models) -> many
// Users who still have edges of a model that is none of these, in the order of their keys.
MATCH (user:User {dataset: $dataset})
WHERE EXISTS { MATCH (user)-[edge:RECOMMENDED]->() WHERE NOT edge.model IN $models }
RETURN user.uid AS user ORDER BY user

// name: remove_other_models(dataset, models, rows) -> none
// Remove from these users the edges of all models but these, and but the one that is served by now and the one served before
// it: another may have been published meanwhile. Locks the dataset, as `switch_model` does. Rows: {user}. Keys: Dataset.uid,
// User.uid. Cost: these edges, and the dataset's published models.
MATCH (held:Dataset {uid: $dataset})
SET held.id = held.id
WITH count(held) AS locked
MATCH (served:Dataset {uid: $dataset})
OPTIONAL MATCH (former:Model {dataset: $dataset})
WHERE former.uid <> served.published AND former.published_at IS NOT NULL
WITH served, former ORDER BY former.published_at DESC LIMIT 1
WITH $models + [served.published, coalesce(former.uid, served.published)] AS kept
UNWIND $rows AS row
MATCH (:User {uid: row.user})-[edge:RECOMMENDED]->(:Item)
WHERE NOT edge.model IN kept
DELETE edge

// name: served_model(dataset) -> many
// The dataset and the model it serves; no row when there is no such dataset, a null model when nothing is published.
MATCH (served:Dataset {uid: $dataset})
OPTIONAL MATCH (model:Model {uid: served.published})
RETURN served.id AS dataset, model.uid AS model, model.id AS run, model.method AS method,
       toString(model.published_at) AS published_at

// name: served_to(dataset, user, k) -> many
// What a dataset serves, and the user with what it recommends to them, if there is one; no row when there is no such dataset,
// a null model when nothing is published. An interest that was pruned since is no reason any more, and `corrected` of the
// user and of an item differ where something was corrected since. Keys: Dataset.uid, User.uid, Model.uid. Cost: the user's own
// edges.
MATCH (served:Dataset {uid: $dataset})
OPTIONAL MATCH (user:User {uid: $user})
OPTIONAL MATCH (model:Model {uid: served.published})
RETURN user IS NOT NULL AS known, user.name AS name, model.uid AS model, model.id AS run, model.method AS method,
       coalesce(user.corrected, 0) AS corrected, COLLECT {
  MATCH (user)-[edge:RECOMMENDED]->(item:Item)
  WHERE edge.model = served.published AND edge.rank <= $k
  OPTIONAL MATCH (interest:Interest {uid: edge.because})
  WHERE NOT EXISTS { MATCH (user)-[gone:HAS_INTEREST]->(interest) WHERE gone.pruned_by IS NOT NULL }
  WITH edge, item, interest ORDER BY edge.rank
  RETURN {rank: edge.rank, item_uid: item.uid, item: item.id, name: coalesce(item.name, item.id), score: edge.score,
          interest: interest.id, interest_name: coalesce(interest.name, interest.id), support: edge.support,
          cohort: edge.cohort, share: edge.share, experts: coalesce(edge.experts, []), shares: coalesce(edge.shares, []),
          corrected: coalesce(edge.corrected, 0)}
} AS items

// name: find_user(user) -> many
// One user's name by key; no row when there is none.
MATCH (user:User {uid: $user})
RETURN user.id AS id, user.name AS name

// name: near_users(dataset, id) -> many
// Candidates for a mistyped id: those of about the same length that begin or end alike.
MATCH (user:User {dataset: $dataset})
WHERE abs(size(user.id) - size($id)) <= 2
  AND (left(user.id, 2) = left($id, 2) OR right(user.id, 2) = right($id, 2) OR left(user.id, 1) = left($id, 1))
RETURN user.id AS id ORDER BY id LIMIT 1000

// name: shared_facts(user, items) -> many
// For each item, the rarest entity it shares in one relation with something in the user's history: what explains a
// recommendation that no interest explains. Reads train and valid alone. Cost: the facts of the history and of the items;
// both sides are grouped by entity, which costs a quarter of looking for each entity at each item.
CALL () {
  MATCH (:User {uid: $user})-[interaction:INTERACTED]->(known:Item)-[fact]->(entity:Entity)
  WHERE interaction.split IN ['train', 'valid']
  RETURN entity, type(fact) AS type, fact.relation AS relation, min([coalesce(known.name, known.id), known.id]) AS known,
         null AS item
  UNION ALL
  UNWIND $items AS wanted
  MATCH (item:Item {uid: wanted})-[fact]->(entity:Entity)
  RETURN entity, type(fact) AS type, null AS relation, null AS known, item
}
WITH entity, type, min(relation) AS relation, min(known) AS known, collect(DISTINCT item) AS items
WHERE known IS NOT NULL AND size(items) > 0
WITH entity, relation, known, items, COUNT { (entity)<--() } AS degree
UNWIND items AS item
WITH item, entity, relation, known, degree ORDER BY degree, entity.uid, relation
WITH item, collect({relation: relation, entity: entity.id, entity_name: coalesce(entity.name, entity.id),
                    known: known[1], known_name: known[0]})[0] AS best
RETURN item.uid AS item_uid, best.relation AS relation, best.entity AS entity, best.entity_name AS entity_name,
       best.known AS known, best.known_name AS known_name
