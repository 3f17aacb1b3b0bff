// Which files of cypher/schema a database has, and that its indexes are ready.

// name: migrations() -> many
// The applied schema files in order. Scan: Migration, which has one node a file.
MATCH (migration:Migration)
RETURN migration.uid AS version, migration.name AS name, migration.checksum AS checksum,
       migration.applied_at AS applied_at
ORDER BY version

// name: record_migration(version, name, checksum) -> none
// Remembers that a schema file was applied. One look-up by key; the first writer's record stays.
MERGE (migration:Migration {uid: $version})
ON CREATE SET migration.id = $version, migration.name = $name, migration.checksum = $checksum,
              migration.applied_at = datetime()

// name: make_schema_lock() -> none
// The node that `hold_schema` locks. Its label has no constraint, since making one would wait for the lock itself; should
// two be made in the same moment, both are locked. Scan: SchemaLock, which has one node.
MERGE (:SchemaLock)

// name: hold_schema() -> none
// Take the lock that whoever makes constraints and indexes takes first, in one order. Scan: SchemaLock, which has one node.
MATCH (lock:SchemaLock)
WITH lock ORDER BY elementId(lock)
SET lock.held = true

// name: await_indexes(seconds) -> none
// Returns when every index of the database is online, or fails after the given seconds.
CALL db.awaitIndexes($seconds)

// name: schema_indexes() -> many
// Every index with its state, but for the one that finds nodes by label, which the server makes itself.
SHOW INDEXES YIELD name, type, state, populationPercent, labelsOrTypes, properties, options, failureMessage
WHERE type <> 'LOOKUP'
RETURN name, type, state, populationPercent AS percent, labelsOrTypes AS labels, properties, options,
       failureMessage AS failure
ORDER BY name

// name: schema_constraints() -> many
// Every constraint, with the name of the index that it rests on.
SHOW CONSTRAINTS YIELD name, type, labelsOrTypes, properties, ownedIndex
RETURN name, type, labelsOrTypes AS labels, properties, ownedIndex AS index ORDER BY name
