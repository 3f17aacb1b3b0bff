// All subjects of a run, whatever their state: a composite index answers only for all of its properties together.
CREATE INDEX subject_run IF NOT EXISTS FOR (n:Subject) ON (n.run);
