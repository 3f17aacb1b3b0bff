// Questions that go to the provider in batches. A run whose `batch` is set is not leased to workers: `submit` sends what is
// open of it in batches, `collect` takes what comes of those that were sent. Each batch is a node of its own, a Run of the
// kind `batch` {of, state, batch, questions, answered}: it is there before the provider is asked, so that nothing is sent twice.

// name: batching_runs() -> many
// The runs whose questions are with the provider, for the sweeper. Scan: Run.
MATCH (run:Run)
WHERE run.kind = 'extract' AND run.state = 'running' AND run.batch IS NOT NULL
RETURN run.uid AS run ORDER BY run

// name: claim_batching(run, lease, milliseconds) -> many
// Take charge of a run's batches for some time, or for longer; returns how it is sent, or no row where another process
// has it in charge or the run wants no batches. Key: the run's uid, whose lock makes processes take turns.
MATCH (run:Run {uid: $run, state: 'running'})
SET run.state = run.state
WITH run
WHERE run.batch IS NOT NULL AND (coalesce(run.batch_leased_until, 0) < timestamp() OR run.batch_lease = $lease)
SET run.batch_lease = $lease, run.batch_leased_until = timestamp() + $milliseconds
RETURN run.batch AS batch

// name: release_batching(run, lease) -> none
// Leave a run's batches to others.
MATCH (run:Run {uid: $run, batch_lease: $lease})
SET run.batch_lease = null, run.batch_leased_until = null

// name: end_batching(run) -> none
// Let workers ask what is left of a run that is under way: its batches are done with.
MATCH (run:Run {uid: $run, state: 'running'})
SET run.batch = null
WITH run
MATCH (batch:Run {dataset: run.dataset, kind: 'batch'})
WHERE batch.of = $run AND batch.state = 'collected'
SET batch.state = 'done'

// name: close_batches(run) -> none
// Count a run's batches that were collected no more: what comes next begins anew.
MATCH (run:Run {uid: $run})
MATCH (batch:Run {dataset: run.dataset, kind: 'batch'})
WHERE batch.of = $run AND batch.state = 'collected'
SET batch.state = 'done'

// name: run_batches(run) -> many
// The batches of a run, the oldest first. One range of the index on dataset and kind.
MATCH (run:Run {uid: $run})
MATCH (batch:Run {dataset: run.dataset, kind: 'batch'})
WHERE batch.of = $run
RETURN batch.uid AS uid, batch.id AS id, batch.batch AS batch, batch.round AS round, batch.state AS state,
       batch.questions AS questions, batch.answered AS answered, batch.error AS error,
       batch.created_at.epochSeconds AS created
ORDER BY round, uid

// name: begin_batch(batch, properties) -> none
// Note that a batch is about to be sent, before it is. Key: the batch's uid.
MERGE (batch:Run {uid: $batch})
ON CREATE SET batch += $properties, batch.kind = 'batch', batch.state = 'submitting', batch.answered = 0,
              batch.created_at = datetime(), batch.started_at = datetime()

// name: note_batch(batch, id) -> many
// Note the provider's id of a batch that was sent; the state of its run, or no row where it was forgotten meanwhile. The
// run is locked, so that whoever cancels it either finds the batch open or is seen here. Keys: the uids of both.
MATCH (batch:Run {uid: $batch})
MATCH (run:Run {uid: batch.of})
SET run.state = run.state
WITH batch, run WHERE batch.state = 'submitting'
SET batch.batch = $id, batch.state = 'open'
RETURN run.state AS state

// name: forget_batch(batch) -> none
// Forget a batch that was never sent. Key: the batch's uid.
MATCH (batch:Run {uid: $batch, state: 'submitting'})
DELETE batch

// name: collect_answers(dataset, batch, rows) -> none
// Keep answers of a batch, bill each to the subject that asked first, and count those that can be used. An answer that is
// there from this batch already was billed; a valid one is never replaced. Keys: the uids of the batch, the completions
// and the subjects.
MATCH (batch:Run {uid: $batch})
SET batch.state = batch.state
WITH batch
UNWIND $rows AS row
MERGE (completion:Completion {uid: row.uid})
ON CREATE SET completion.dataset = $dataset, completion.created_at = datetime()
WITH batch, completion, row
WHERE coalesce(completion.batch, '') <> $batch
SET completion.batch = $batch, batch.answered = batch.answered + CASE row.properties.status WHEN 'valid' THEN 1 ELSE 0 END
FOREACH (fresh IN CASE WHEN coalesce(completion.status, '') <> 'valid' THEN [completion] ELSE [] END |
  SET fresh += row.properties
)
WITH row
MATCH (subject:Subject {uid: row.subject})
SET subject.calls = subject.calls + 1, subject.prompt_tokens = subject.prompt_tokens + row.properties.prompt_tokens,
    subject.completion_tokens = subject.completion_tokens + row.properties.completion_tokens,
    subject.cost = subject.cost + row.properties.cost

// name: end_batch(batch, error) -> none
// Note that all that a batch gave back is kept, and why the rest of it is of no use. Key: the batch's uid.
MATCH (batch:Run {uid: $batch})
SET batch.state = 'collected', batch.error = $error, batch.finished_at = datetime()

// name: planned_subjects(run) -> many
// The subjects of a run that are to be asked about and that nobody holds.
MATCH (subject:Subject {run: $run, state: 'planned'})
RETURN subject.id AS id ORDER BY id
