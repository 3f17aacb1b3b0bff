// One unique key for every label, so that MERGE and MATCH by uid are index look-ups and concurrent writers meet in one
// node; then the indexes of the platform's other look-ups. Applied files are never edited: the next change is 0002.

CREATE CONSTRAINT migration_uid IF NOT EXISTS FOR (n:Migration) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT dataset_uid IF NOT EXISTS FOR (n:Dataset) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT user_uid IF NOT EXISTS FOR (n:User) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT item_uid IF NOT EXISTS FOR (n:Item) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT entity_uid IF NOT EXISTS FOR (n:Entity) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT intent_uid IF NOT EXISTS FOR (n:Intent) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT interest_uid IF NOT EXISTS FOR (n:Interest) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT profile_uid IF NOT EXISTS FOR (n:Profile) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT run_uid IF NOT EXISTS FOR (n:Run) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT subject_uid IF NOT EXISTS FOR (n:Subject) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT completion_uid IF NOT EXISTS FOR (n:Completion) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT model_uid IF NOT EXISTS FOR (n:Model) REQUIRE n.uid IS UNIQUE;

// A dataset's nodes of one label: every page, job and export begins here.
CREATE INDEX user_dataset IF NOT EXISTS FOR (n:User) ON (n.dataset);
CREATE INDEX item_dataset IF NOT EXISTS FOR (n:Item) ON (n.dataset);
CREATE INDEX entity_dataset IF NOT EXISTS FOR (n:Entity) ON (n.dataset);
CREATE INDEX intent_dataset IF NOT EXISTS FOR (n:Intent) ON (n.dataset);
CREATE INDEX interest_dataset IF NOT EXISTS FOR (n:Interest) ON (n.dataset);
CREATE INDEX profile_dataset IF NOT EXISTS FOR (n:Profile) ON (n.dataset);
CREATE INDEX run_dataset IF NOT EXISTS FOR (n:Run) ON (n.dataset);
CREATE INDEX subject_dataset IF NOT EXISTS FOR (n:Subject) ON (n.dataset);
CREATE INDEX completion_dataset IF NOT EXISTS FOR (n:Completion) ON (n.dataset);
CREATE INDEX model_dataset IF NOT EXISTS FOR (n:Model) ON (n.dataset);

// The ledger: all of a run, what of it is left to do, and what a shard holds. A composite index answers only for all of
// its properties together.
CREATE INDEX run_dataset_kind IF NOT EXISTS FOR (n:Run) ON (n.dataset, n.kind);
CREATE INDEX subject_run IF NOT EXISTS FOR (n:Subject) ON (n.run);
CREATE INDEX subject_run_state IF NOT EXISTS FOR (n:Subject) ON (n.run, n.state);
CREATE INDEX subject_run_shard IF NOT EXISTS FOR (n:Subject) ON (n.run, n.shard);

// Search by name over everything a person looks for.
CREATE FULLTEXT INDEX names IF NOT EXISTS FOR (n:User|Item|Entity|Interest|Intent) ON EACH [n.name];
