// name: upsert_training_run(run, dataset, id, properties) -> none
// Register a finished training as a run of the dataset. Key: the run's uid. Training again replaces what it says.
MERGE (run:Run {uid: $run})
ON CREATE SET run.created_at = datetime()
SET run.dataset = $dataset, run.id = $id, run.kind = 'train', run += $properties, run.state = 'done',
    run.error = null, run.finished_at = datetime()

// name: set_evaluation(run, dataset, id, evaluation) -> none
// Keep what the test split said of a training, as JSON text. Key: the run's uid. Makes the run if it was trained
// without the database.
MERGE (run:Run {uid: $run})
ON CREATE SET run.created_at = datetime(), run.dataset = $dataset, run.id = $id, run.kind = 'train', run.state = 'done'
SET run.evaluation = $evaluation, run.evaluated_at = datetime()
