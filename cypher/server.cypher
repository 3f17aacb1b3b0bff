// The server itself.

// name: server() -> one
// Version and edition of the server, for `cikg doctor`.
CALL dbms.components() YIELD name, versions, edition
WHERE name = 'Neo4j Kernel'
RETURN versions[0] AS version, edition
