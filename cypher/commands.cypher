// Commands of `cikg` that wait for a worker or that one carries out: each is a Run of the kind `command` {parameters: its
// arguments, home: where its files are, progress, said, lease}. It is there before its message is sent, so that a lost
// message or worker loses nothing.

// name: queue_command(run, properties) -> none
// Note a command that is about to be queued. Key: the run's uid.
MERGE (run:Run {uid: $run})
ON CREATE SET run += $properties, run.kind = 'command', run.state = 'planned', run.attempts = 0, run.created_at = datetime()

// name: claim_command(run, home, lease, milliseconds, most_attempts) -> many
// Take a command that waits, or whose worker fell silent; its arguments, or no row where there is nothing to take. One of
// another home is left to a worker that sees its files, and says that it waits for one. Setting the run's state to itself
// locks it, so that two deliveries of one message take turns. What its workers died of again and again fails instead. Key:
// the run's uid.
MATCH (run:Run {uid: $run, kind: 'command'})
SET run.state = run.state
WITH run
WHERE run.state = 'planned' OR (run.state = 'running' AND run.leased_until < timestamp())
WITH run, run.home = $home AS visible
SET run.progress = CASE WHEN NOT visible THEN 'waits for a worker whose CIKG_HOME is ' + run.home_path
                        WHEN run.state = 'running' THEN run.progress END
WITH run, run.attempts >= $most_attempts AS lost WHERE visible
SET run.state = CASE WHEN lost THEN 'failed' ELSE 'running' END,
    run.error = CASE WHEN lost THEN 'its worker died each time it was tried' END,
    run.lease = CASE WHEN lost THEN null ELSE $lease END, run.leased_until = timestamp() + $milliseconds,
    run.attempts = run.attempts + 1, run.started_at = coalesce(run.started_at, datetime())
WITH run, lost WHERE NOT lost
RETURN run.parameters AS parameters

// name: renew_command(run, lease, milliseconds, progress) -> many
// Say that a command's worker lives and how far it is; no row where the command is cancelled or another worker's. Key: the
// run's uid.
MATCH (run:Run {uid: $run, state: 'running', lease: $lease})
SET run.leased_until = timestamp() + $milliseconds, run.progress = coalesce($progress, run.progress)
RETURN run.uid AS run

// name: end_command(run, lease, state, error, said) -> none
// Note how a command ended, and what it printed; one that was cancelled stays that. Key: the run's uid.
MATCH (run:Run {uid: $run, lease: $lease})
WITH run, run.state = 'running' AS undisturbed
SET run.said = $said, run.lease = null, run.leased_until = null, run.finished_at = datetime(),
    run.state = CASE WHEN undisturbed THEN $state ELSE run.state END,
    run.error = CASE WHEN undisturbed THEN $error ELSE run.error END

// name: release_command(run, lease) -> none
// Give back a command whose worker is told to end: another goes on with it, and the attempt counts as none. Key: the run's uid.
MATCH (run:Run {uid: $run, state: 'running', lease: $lease})
SET run.state = 'planned', run.lease = null, run.leased_until = null, run.attempts = run.attempts - 1, run.progress = null

// name: open_commands(home) -> many
// Commands that nobody has in hand and whose files a sweeper's home has, with the queue that each belongs into. Those of
// another home are not announced again, which would go on for ever where no worker sees it: they say that they wait for
// one. Scan: Run.
MATCH (run:Run)
WHERE run.kind = 'command' AND (run.state = 'planned' OR (run.state = 'running' AND run.leased_until < timestamp()))
WITH run, run.home = $home AS visible, 'waits for a worker whose CIKG_HOME is ' + run.home_path AS waits
FOREACH (other IN CASE WHEN visible OR run.progress = waits THEN [] ELSE [run] END | SET other.progress = waits)
WITH run WHERE visible
RETURN run.uid AS run, run.queue AS queue, run.created_at AS since ORDER BY since, run

// name: command_runs(dataset, limit) -> many
// The commands of a dataset that were queued, or ('') of all, the newest first. Scan: Run, unless a dataset is given.
CALL () {
  WITH $dataset AS dataset WHERE dataset <> ''
  MATCH (run:Run {dataset: dataset, kind: 'command'}) RETURN run
  UNION
  WITH $dataset AS dataset WHERE dataset = ''
  MATCH (run:Run) WHERE run.kind = 'command' RETURN run
}
RETURN run.id AS run, run.dataset AS dataset, run.name AS command, run.state AS state, run.progress AS progress,
       run.error AS error, run.said AS said, run.attempts AS attempts, run.queue AS queue,
       toString(run.created_at) AS created_at, toString(run.started_at) AS started_at,
       toString(run.finished_at) AS finished_at
ORDER BY created_at DESC, run LIMIT $limit

// name: recent_commands(dataset, name, argument, limit) -> many
// The last commands of a dataset that were queued, the newest first: those whose name begins so and that have an argument,
// or ('') any; with what they were given and printed, and how many seconds ago they were queued. Cost: the dataset's commands.
MATCH (run:Run {dataset: $dataset, kind: 'command'})
WHERE run.name STARTS WITH $name AND run.parameters CONTAINS $argument
WITH run ORDER BY run.created_at DESC, run.uid LIMIT $limit
RETURN run.id AS id, run.name AS name, run.parameters AS parameters, run.state AS state, run.progress AS progress,
       run.error AS error, run.said AS said, duration.inSeconds(run.created_at, datetime()).seconds AS age
ORDER BY run.created_at DESC, run.uid
