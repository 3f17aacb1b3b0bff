// name: upsert_training_run(run, dataset, id, properties, finished, seconds) -> none
// Register a finished training as a run of the dataset, at the time when it was done: registering it again changes
// nothing. Where it was trained anew, what test said of the weights before is gone. Key: the run's uid.
MERGE (run:Run {uid: $run})
WITH run, datetime($finished) AS finished, run.manifest <> $properties.manifest AS anew
SET run.evaluation = CASE WHEN anew THEN null ELSE run.evaluation END,
    run.evaluated_at = CASE WHEN anew THEN null ELSE run.evaluated_at END
SET run.dataset = $dataset, run.id = $id, run.kind = 'train', run += $properties, run.state = 'done', run.error = null,
    run.finished_at = finished, run.started_at = finished - duration({seconds: $seconds}),
    run.created_at = coalesce(run.created_at, finished - duration({seconds: $seconds}))

// name: set_evaluation(run, dataset, id, method, evaluation) -> none
// Keep what the test split said of a training, as JSON text. Key: the run's uid. Makes the run if it was trained
// without the database.
MERGE (run:Run {uid: $run})
ON CREATE SET run.created_at = datetime(), run.dataset = $dataset, run.id = $id, run.kind = 'train', run.state = 'done',
              run.name = $method
SET run.evaluated_at = CASE WHEN run.evaluation = $evaluation THEN run.evaluated_at ELSE datetime() END,
    run.evaluation = $evaluation

// name: forget_training(dataset, run) -> many
// Remove a training, and the model that was made of it when it was published, unless that is served; returns no row then.
// Its recommendations go with the next publication. Locks the dataset, so that nobody publishes it meanwhile. Keys: the uids
// of both.
OPTIONAL MATCH (held:Dataset {uid: $dataset})
SET held.state = held.state
WITH held WHERE coalesce(held.published, '') <> $run
OPTIONAL MATCH (run:Run {uid: $run, kind: 'train'})
OPTIONAL MATCH (model:Model {uid: $run})
DETACH DELETE run, model
RETURN $run AS run
