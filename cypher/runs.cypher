// name: run_dataset(dataset) -> many
// What a job needs to know of the dataset it works on; no row if there is none. Key: the dataset's name.
MATCH (dataset:Dataset {uid: $dataset})
RETURN dataset.uid AS dataset, coalesce(dataset.field, 'items') AS field,
       coalesce(dataset.relations, []) AS relations, dataset.state AS state, coalesce(dataset.version, 0) AS version

// name: run_exists(run) -> many
// One row if there is such a run, none otherwise. Key: the run's uid.
MATCH (run:Run {uid: $run})
RETURN run.uid AS run

// name: run_node(run) -> many
// A run's job, dataset, parameters, budget and how often it was opened; no row where its dataset was dropped. Key: the run's uid.
MATCH (run:Run {uid: $run})
RETURN run.name AS name, run.dataset AS dataset, run.parameters AS parameters, run.budget AS budget,
       coalesce(run.opening, 0) AS opening

// name: ledger_rows(run) -> many
// Every subject of a run, to find what has to be done. One index look-up, then one row a subject.
MATCH (subject:Subject {run: $run})
RETURN subject.id AS id, subject.state AS state, subject.input_hash AS input_hash,
       subject.state = 'running' AND subject.leased_until >= timestamp() AS leased

// name: open_run(run, properties, budget, batch) -> many
// Make a run, or open it again; no row where its dataset is being dropped, whose lock keeps both apart. Keys: the uids of
// both. A second opening changes no more than its state, its budget, the count of openings and, where that is given, whether its
// questions go in batches.
MATCH (dataset:Dataset {uid: $properties.dataset})
SET dataset.state = dataset.state
WITH dataset WHERE coalesce(dataset.state, '') <> 'dropping'
MERGE (run:Run {uid: $run})
ON CREATE SET run += $properties, run.created_at = datetime()
SET run.state = 'running', run.error = null, run.finished_at = null, run.resume_at = null, run.budget = $budget,
    run.opening = coalesce(run.opening, 0) + 1, run.batch = coalesce($batch, run.batch), run.started_at = coalesce(run.started_at, datetime())
RETURN run.uid AS run

// name: plan_subjects(run, dataset, kind, rows) -> none
// Put subjects into the ledger as planned: new ones, changed ones, and those that failed before; none where the dataset is
// being dropped, as in `open_run`. What another process took or did since they were read stays. Key: the subject's uid.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.state = dataset.state
WITH dataset WHERE coalesce(dataset.state, '') <> 'dropping'
UNWIND $rows AS row
MERGE (subject:Subject {uid: row.uid})
ON CREATE SET subject.run = $run, subject.dataset = $dataset, subject.kind = $kind, subject.id = row.id,
              subject.calls = 0, subject.prompt_tokens = 0, subject.completion_tokens = 0, subject.cost = 0.0
WITH subject, row, coalesce(subject.state, '') AS state
WHERE NOT (state = 'running' AND coalesce(subject.leased_until, 0) >= timestamp())
  AND NOT (state = 'done' AND coalesce(subject.input_hash, '') = row.input_hash)
SET subject.shard = row.shard, subject.input_hash = row.input_hash, subject.state = 'planned',
    subject.attempts = 0, subject.error = null, subject.lease = null, subject.leased_until = null,
    subject.updated_at = datetime()

// name: count_run(run, total) -> none
// Note how many subjects a run has, as its page shows it.
MATCH (run:Run {uid: $run})
SET run.total = $total

// name: lease_subjects(run, shard, lease, milliseconds, most_attempts, suspicious) -> many
// Take what is left of a shard: planned subjects, and running ones whose worker fell silent. Setting the run's state to
// itself locks it, so that two deliveries of one message take turns and the second finds nothing left. Subjects whose
// workers fell silent several times are taken one by one, after all others: one of them may be what kills the workers,
// and fails in the end without the others; `more` says that some of them wait for their turn. Nothing is taken, and no row
// returned, before the time at which the provider wants to be asked again, nor while the run's questions are sent in
// batches.
MATCH (run:Run {uid: $run, state: 'running'})
SET run.state = run.state
WITH run WHERE coalesce(run.resume_at, 0) <= timestamp() AND run.batch IS NULL
MATCH (subject:Subject {run: $run, shard: $shard})
WHERE subject.state = 'planned' OR (subject.state = 'running' AND subject.leased_until < timestamp())
WITH subject ORDER BY subject.attempts, subject.uid
WITH collect(subject) AS open
FOREACH (lost IN [one IN open WHERE one.attempts >= $most_attempts] |
  SET lost.state = 'failed', lost.error = 'its worker died, or its time ran out, each time it was tried', lost.lease = null,
      lost.leased_until = null, lost.updated_at = datetime())
WITH [one IN open WHERE one.attempts < $suspicious] AS fresh,
     [one IN open WHERE one.attempts >= $suspicious AND one.attempts < $most_attempts] AS alone
WITH CASE WHEN size(fresh) > 0 THEN fresh ELSE alone[..1] END AS taken, size(fresh) + size(alone) AS left
UNWIND taken AS subject
SET subject.attempts = subject.attempts + 1, subject.updated_at = datetime(), subject.state = 'running',
    subject.error = null, subject.lease = $lease, subject.leased_until = timestamp() + $milliseconds
WITH subject.id AS id, left > size(taken) AS more ORDER BY id
RETURN collect(id) AS ids, more

// name: renew_leases(run, shard, lease, milliseconds) -> many
// Say that a shard's worker lives, and learn whether the run still wants it to; no row where its dataset was dropped.
MATCH (run:Run {uid: $run})
OPTIONAL MATCH (subject:Subject {run: $run, shard: $shard, lease: $lease})
SET subject.leased_until = timestamp() + $milliseconds
RETURN run.state AS state, count(subject) AS subjects

// name: release_subjects(run, shard, lease, forgiven) -> none
// Give back what a worker leased and did not close; `forgiven` attempts do not count. Setting the run's state to itself
// locks it: `finish_run` must not look in between, and find the subjects neither running nor planned.
MATCH (run:Run {uid: $run})
SET run.state = run.state
WITH run
MATCH (subject:Subject {run: $run, shard: $shard, lease: $lease})
SET subject.state = 'planned', subject.lease = null, subject.leased_until = null, subject.attempts = subject.attempts - $forgiven

// name: bill_subject(subject, calls, prompt_tokens, completion_tokens, cost) -> none
// Add what was spent on a subject that did not end. Key: the subject's uid.
MATCH (subject:Subject {uid: $subject})
SET subject.calls = subject.calls + $calls, subject.prompt_tokens = subject.prompt_tokens + $prompt_tokens,
    subject.completion_tokens = subject.completion_tokens + $completion_tokens, subject.cost = subject.cost + $cost

// name: close_subjects(lease, rows) -> none
// End subjects as done, failed or quarantined, in the transaction that wrote what they found. A worker that lost its
// lease closes nothing. An answer that cannot be used is marked, so that it is asked for anew when the subject is tried
// again. Keys: the uids of the subjects and completions. Costs add up over repetitions.
UNWIND $rows AS row
MATCH (subject:Subject {uid: row.uid, lease: $lease})
SET subject.state = row.state, subject.error = row.error, subject.completion = row.completion,
    subject.completions = row.completions,
    subject.input_hash = row.input_hash, subject.calls = subject.calls + row.calls,
    subject.prompt_tokens = subject.prompt_tokens + row.prompt_tokens,
    subject.completion_tokens = subject.completion_tokens + row.completion_tokens,
    subject.cost = subject.cost + row.cost,
    subject.lease = null, subject.leased_until = null, subject.updated_at = datetime()
WITH row WHERE row.state = 'quarantined'
MATCH (completion:Completion {uid: row.completion})
SET completion.status = row.state, completion.error = row.error

// name: run_progress(run) -> many
// Where a run stands, counted from its subjects; no row where its dataset was dropped. One index look-up, then one row a
// subject.
MATCH (run:Run {uid: $run})
OPTIONAL MATCH (subject:Subject {run: $run})
WITH run, collect(subject) AS subjects
RETURN run.state AS state, run.error AS error, run.resume_at AS resume_at, size(subjects) AS total,
       size([subject IN subjects WHERE subject.state = 'planned']) AS planned,
       size([subject IN subjects WHERE subject.state = 'running']) AS running,
       size([subject IN subjects WHERE subject.state = 'done']) AS done,
       size([subject IN subjects WHERE subject.state = 'failed']) AS failed,
       size([subject IN subjects WHERE subject.state = 'quarantined']) AS quarantined,
       reduce(sum = 0, subject IN subjects | sum + subject.calls) AS calls,
       reduce(sum = 0, subject IN subjects | sum + subject.prompt_tokens) AS prompt_tokens,
       reduce(sum = 0, subject IN subjects | sum + subject.completion_tokens) AS completion_tokens,
       reduce(sum = 0.0, subject IN subjects | sum + subject.cost) AS cost

// name: run_errors(run) -> many
// Why subjects failed or were quarantined, the most frequent cause first.
MATCH (subject:Subject {run: $run})
WHERE subject.state IN ['failed', 'quarantined']
RETURN subject.state AS state, subject.error AS error, count(*) AS subjects, min(subject.id) AS example
ORDER BY subjects DESC, error

// name: open_shards(run) -> many
// Shards with work that nobody holds: what has to be enqueued, at first and after messages or workers were lost.
MATCH (subject:Subject {run: $run})
WHERE subject.state = 'planned' OR (subject.state = 'running' AND subject.leased_until < timestamp())
RETURN DISTINCT subject.shard AS shard ORDER BY shard

// name: finish_run(run) -> none
// Close a run once none of its subjects is planned or running; its state follows from theirs. The two are looked for one
// after the other, so the run is locked as for leasing and giving back, which move subjects between them. Safe to repeat.
MATCH (run:Run {uid: $run})
SET run.state = run.state
WITH run
WHERE NOT EXISTS { MATCH (:Subject {run: $run, state: 'planned'}) }
  AND NOT EXISTS { MATCH (:Subject {run: $run, state: 'running'}) }
WITH run, CASE WHEN EXISTS { MATCH (:Subject {run: $run, state: 'failed'}) } THEN 'failed' ELSE 'done' END AS state
WHERE run.state <> state
SET run.state = state, run.finished_at = datetime()

// name: stop_run(run, state, error, opening) -> none
// Stop a run before its end, or cancel one that rests or waits; workers notice at their next sign of life. What is
// committed stays. Nothing happens where the run was opened again since an `opening` that is given. Key: the run's uid.
MATCH (run:Run {uid: $run})
SET run.state = run.state
WITH run WHERE coalesce(run.opening, 0) = coalesce($opening, run.opening, 0)
WITH run WHERE run.state = 'running' OR (run.state IN ['paused', 'planned'] AND $state = 'cancelled')
SET run.state = $state, run.error = $error, run.finished_at = datetime()

// name: postpone_run(run, milliseconds, reason, opening) -> none
// Lease nothing of a run for some time, since the provider asks for that; `opening` as in `stop_run`.
MATCH (run:Run {uid: $run, state: 'running'})
SET run.state = run.state
WITH run WHERE coalesce(run.opening, 0) = coalesce($opening, run.opening, 0)
SET run.resume_at = timestamp() + $milliseconds, run.error = $reason

// name: completion_texts(dataset, uids) -> many
// Validated answers that were given before. Key: the completion's uid.
UNWIND $uids AS uid
MATCH (completion:Completion {uid: uid, status: 'valid'})
WHERE completion.dataset = $dataset
RETURN completion.id AS id, completion.text AS text, completion.model AS model

// name: store_completions(dataset, rows) -> none
// Keep answers, before anything is made of them. Key: the completion's uid. A valid answer is never replaced.
UNWIND $rows AS row
MERGE (completion:Completion {uid: row.uid})
ON CREATE SET completion.dataset = $dataset, completion.created_at = datetime()
WITH completion, row
WHERE coalesce(completion.status, '') <> 'valid'
SET completion += row.properties

// name: completion_size(dataset, prompt) -> one
// The mean length in tokens of a prompt and of its answers so far, and their mean time in seconds, for estimates; null
// before the first.
OPTIONAL MATCH (completion:Completion {dataset: $dataset, prompt: $prompt, status: 'valid'})
RETURN avg(completion.prompt_tokens) AS sent, avg(completion.completion_tokens) AS tokens,
       avg(completion.latency) AS seconds

// name: conversation_size(dataset, job) -> one
// The mean conversation that a job had about a subject so far: questions, tokens sent and received; null before the
// first. Subjects whose answers were another's cost nothing and count for nothing. Keys: the dataset's runs.
OPTIONAL MATCH (run:Run {dataset: $dataset, kind: 'extract', name: $job})
OPTIONAL MATCH (subject:Subject {run: run.uid, state: 'done'}) WHERE subject.calls > 0
RETURN avg(subject.calls) AS questions, avg(subject.prompt_tokens) AS sent, avg(subject.completion_tokens) AS received

// name: extraction_runs(dataset, limit) -> many
// The runs of LLM jobs, those of one dataset or ('') of all, the newest first. Scan: Run, unless a dataset is given.
CALL () {
  WITH $dataset AS dataset WHERE dataset <> ''
  MATCH (run:Run {dataset: dataset, kind: 'extract'}) RETURN run
  UNION
  WITH $dataset AS dataset WHERE dataset = ''
  MATCH (run:Run) WHERE run.kind = 'extract' RETURN run
}
WITH run ORDER BY run.created_at IS NULL, run.created_at DESC, run.uid LIMIT $limit
CALL (run) {
  MATCH (subject:Subject {run: run.uid})
  RETURN count(subject) AS total, count(CASE WHEN subject.state = 'done' THEN 1 END) AS done,
         count(CASE WHEN subject.state = 'failed' THEN 1 END) AS failed,
         count(CASE WHEN subject.state = 'quarantined' THEN 1 END) AS quarantined,
         sum(subject.calls) AS calls, sum(subject.prompt_tokens + subject.completion_tokens) AS tokens,
         sum(subject.cost) AS cost
}
RETURN run.id AS run, run.dataset AS dataset, run.name AS job, run.state AS state, run.error AS error, total, done, failed,
       quarantined, calls, tokens, cost, toString(run.created_at) AS created_at
ORDER BY created_at IS NULL, created_at DESC, run

// name: running_extractions() -> many
// The runs of LLM jobs that are under way and may be worked on now, for the sweeper, with the model they ask. Scan: Run.
MATCH (run:Run)
WHERE run.kind = 'extract' AND run.state = 'running' AND coalesce(run.resume_at, 0) <= timestamp()
  AND run.batch IS NULL
RETURN run.uid AS run, run.parameters AS parameters ORDER BY run

// name: open_subjects() -> many
// How many subjects of the runs that go on are in each state. Scan: Run, then an index look-up a run that goes on.
MATCH (run:Run)
WHERE run.kind = 'extract' AND run.state = 'running'
MATCH (subject:Subject {run: run.uid})
RETURN run.dataset AS dataset, run.name AS job, subject.state AS state, count(*) AS subjects
ORDER BY dataset, job, state

// name: resume_run(run, budget, keep) -> many
// Let a run that was paused, cancelled or stopped go on with what is planned, within another budget unless it is to keep
// the one that it has; returns its state before, or no row. Key: the run's uid.
MATCH (run:Run {uid: $run})
WITH run, run.state AS before
SET run.state = 'running', run.error = null, run.finished_at = null, run.resume_at = null,
    run.opening = coalesce(run.opening, 0) + 1, run.budget = CASE WHEN $keep THEN run.budget ELSE $budget END
RETURN before AS state

// name: replan_subjects(run, states, ids) -> one
// Put subjects in some states back to planned, all of them or those with these ids; returns how many.
MATCH (subject:Subject {run: $run})
WHERE subject.state IN $states AND (size($ids) = 0 OR subject.id IN $ids)
SET subject.state = 'planned', subject.attempts = 0, subject.error = null, subject.updated_at = datetime()
RETURN count(*) AS subjects

// name: quarantined_subjects(run, limit) -> many
// Subjects whose answers could not be used, with the cause and the answer as it came.
MATCH (subject:Subject {run: $run, state: 'quarantined'})
WITH subject ORDER BY subject.id LIMIT $limit
OPTIONAL MATCH (completion:Completion {uid: subject.completion})
RETURN subject.id AS subject, subject.error AS error, completion.asked AS asked, completion.text AS answer
ORDER BY subject

// name: subject_trail(dataset, id) -> many
// Everything that LLM jobs did about one user or item: every run that had it as a subject, oldest first, with each answer
// of its conversation in turn, or one row without an answer. Keys: the subjects' uids, one look-up a run of the dataset.
MATCH (run:Run {dataset: $dataset, kind: 'extract'})
MATCH (subject:Subject {uid: run.uid + '/' + $id})
WITH run, subject, coalesce(subject.completions, [subject.completion]) AS keys
UNWIND range(0, CASE WHEN size(keys) > 0 THEN size(keys) - 1 ELSE 0 END) AS turn
OPTIONAL MATCH (completion:Completion {uid: keys[turn]})
RETURN run.id AS run, run.name AS job, subject.kind AS about, subject.state AS state, subject.error AS error,
       subject.attempts AS attempts, subject.calls AS calls,
       subject.prompt_tokens + subject.completion_tokens AS tokens, subject.cost AS cost,
       toString(subject.updated_at) AS updated_at, turn, completion.prompt AS prompt,
       completion.prompt_version AS prompt_version, completion.model AS model, completion.asked AS asked,
       completion.text AS answer
ORDER BY updated_at, run, turn

// name: completion_names(dataset) -> one
// The prompts and models that a dataset's kept answers are of, and what its runs were given, which name a model, too. Cost:
// the dataset's answers, so that it is asked where nothing was found.
OPTIONAL MATCH (completion:Completion {dataset: $dataset})
WITH collect(DISTINCT completion.prompt) AS prompts, collect(DISTINCT completion.model) AS models
OPTIONAL MATCH (run:Run {dataset: $dataset, kind: 'extract'})
RETURN prompts, models, collect(DISTINCT run.parameters) AS parameters

// name: purge_completions(dataset, prompt, model, run, size) -> one
// Forget some answers: of a prompt, a model and a run, each '' for any; returns how many. What was made of them stays.
MATCH (completion:Completion {dataset: $dataset})
WHERE ($prompt = '' OR completion.prompt = $prompt) AND ($model = '' OR completion.model = $model)
  AND ($run = '' OR completion.run = $dataset + ':' + $run)
WITH completion LIMIT $size
DETACH DELETE completion
RETURN count(*) AS purged

// name: count_completions(dataset, prompt, model, run) -> one
// How many answers `purge_completions` would forget.
MATCH (completion:Completion {dataset: $dataset})
WHERE ($prompt = '' OR completion.prompt = $prompt) AND ($model = '' OR completion.model = $model)
  AND ($run = '' OR completion.run = $dataset + ':' + $run)
RETURN count(*) AS completions
