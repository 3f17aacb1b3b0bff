// Who may use the platform: accounts, their tokens, and the log of changes. Only hashes of secrets are kept.

// name: find_account(account) -> many
// One account with the hash of its password, or no row. Key: Account.uid.
MATCH (account:Account {uid: $account})
RETURN account.uid AS name, account.role AS role, account.password AS password, account.changed_at AS changed_at,
       toString(account.created_at) AS created_at

// name: shown_account(account) -> one
// What may be shown of an account. Key: Account.uid.
MATCH (account:Account {uid: $account})
RETURN account.uid AS name, account.role AS role, account.password IS NOT NULL AS has_password,
       toString(account.created_at) AS created_at,
       COUNT { MATCH (token:Token {account: account.uid}) WHERE token.revoked_at IS NULL } AS tokens

// name: accounts(after, limit) -> many
// Accounts in the order of their names, those after one. Cost: what is returned.
MATCH (account:Account)
WHERE account.uid > $after
RETURN account.uid AS name, account.role AS role, account.password IS NOT NULL AS has_password,
       toString(account.created_at) AS created_at,
       COUNT { MATCH (token:Token {account: account.uid}) WHERE token.revoked_at IS NULL } AS tokens
ORDER BY name LIMIT $limit

// name: make_account(account, role, password, moment) -> many
// Make an account; returns its key, or no row where there is one of this name. Key: Account.uid. Repeating it in the same
// moment changes nothing.
MERGE (account:Account {uid: $account})
ON CREATE SET account.id = $account, account.role = $role, account.password = $password, account.changed_at = $moment,
              account.created_at = datetime()
WITH account WHERE account.changed_at = $moment
RETURN account.uid AS name

// name: set_role(account, role) -> none
// Give an account a role. Key: Account.uid.
MATCH (account:Account {uid: $account})
SET account.role = $role

// name: set_password(account, password, moment) -> none
// Keep the hash of a new password; sessions begun before this moment end. Key: Account.uid.
MATCH (account:Account {uid: $account})
SET account.password = $password, account.changed_at = $moment

// name: remove_account(account) -> none
// Remove an account and revoke its tokens, so that none comes to life with another of its name. Key: Account.uid.
MATCH (account:Account {uid: $account})
CALL () {
  MATCH (token:Token {account: $account}) WHERE token.revoked_at IS NULL
  SET token.revoked_at = datetime()
}
DELETE account

// name: find_token(token) -> many
// A token with the digest of its secret and the role of its account, or no row. Keys: Token.uid, Account.uid.
MATCH (token:Token {uid: $token})
OPTIONAL MATCH (account:Account {uid: token.account})
RETURN token.digest AS digest, token.scopes AS scopes, token.expires_at AS expires_at, token.used_at AS used_at,
       token.revoked_at IS NOT NULL AS revoked, token.account AS account, account.role AS role, token.name AS name

// name: tokens(account, after, limit) -> many
// Tokens in the order of their ids, those after one: of one account, of the operator (''), or of all where it is null.
// Cost: what is returned, and the account's tokens.
MATCH (token:Token)
WHERE token.uid > $after AND ($account IS NULL OR coalesce(token.account, '') = $account)
RETURN token.uid AS id, token.name AS name, token.account AS account, token.scopes AS scopes,
       toString(token.created_at) AS created_at, token.expires_at AS expires_at, token.used_at AS used_at,
       toString(token.revoked_at) AS revoked_at
ORDER BY id LIMIT $limit

// name: make_token(token, digest, name, account, scopes, expires_at) -> none
// Keep a token. Key: Token.uid.
MERGE (token:Token {uid: $token})
ON CREATE SET token.id = $token, token.digest = $digest, token.name = $name, token.account = $account,
              token.scopes = $scopes, token.expires_at = $expires_at, token.created_at = datetime()

// name: revoke_token(token) -> none
// Let a token open nothing any more. Key: Token.uid.
MATCH (token:Token {uid: $token})
SET token.revoked_at = coalesce(token.revoked_at, datetime())

// name: touch_token(token, moment) -> none
// Note when a token was last used. Key: Token.uid.
MATCH (token:Token {uid: $token})
SET token.used_at = $moment

// name: write_audit(entry, actor, action, target, detail) -> none
// Log one change. Key: Audit.uid, which begins with the time, so that it is also the log's order.
MERGE (audit:Audit {uid: $entry})
ON CREATE SET audit.id = $entry, audit.at = datetime(), audit.actor = $actor, audit.action = $action,
              audit.target = $target, audit.detail = $detail

// name: audit_log(before, actor, action, limit) -> many
// The newest entries of the log that come before one; of one actor and with one action, each '' for any. Cost: what is
// returned, and what the filters leave out.
MATCH (audit:Audit)
WHERE audit.uid < $before AND ($actor = '' OR audit.actor = $actor) AND ($action = '' OR audit.action = $action)
RETURN audit.uid AS id, toString(audit.at) AS at, audit.actor AS actor, audit.action AS action, audit.target AS target,
       audit.detail AS detail
ORDER BY id DESC LIMIT $limit

// name: audit_names() -> one
// Who did anything that is logged, and what was done. Scan: Audit. Cost: the log, so that it is asked where a filter found
// nothing.
OPTIONAL MATCH (audit:Audit)
RETURN collect(DISTINCT audit.actor) AS actors, collect(DISTINCT audit.action) AS actions
