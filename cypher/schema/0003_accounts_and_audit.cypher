// Who may use the platform, by which tokens, what they changed, and the statements they keep. Accounts are people and
// programs; the users of a dataset are nodes of its graph and have nothing to do with them.

CREATE CONSTRAINT account_uid IF NOT EXISTS FOR (n:Account) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT token_uid IF NOT EXISTS FOR (n:Token) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT audit_uid IF NOT EXISTS FOR (n:Audit) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT query_uid IF NOT EXISTS FOR (n:Query) REQUIRE n.uid IS UNIQUE;

// An account's tokens; the log from its end.
CREATE INDEX token_account IF NOT EXISTS FOR (n:Token) ON (n.account);
CREATE INDEX audit_at IF NOT EXISTS FOR (n:Audit) ON (n.at);
