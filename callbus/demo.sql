-- What the demo account's description reads, how it ends tokens that nobody knows any more, and what its partner would have said.

-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended('callbus demo', 0))

-- name: is_empty
SELECT NOT EXISTS (SELECT FROM directory.accounts)

-- name: enable_partner_channels
-- As by the partner's own setup; an administrator may write to ingest's schema.
INSERT INTO ingest.integrations (channel_id, account_id, enabled)
SELECT channel_id, account_id, true FROM directory.channels WHERE provider = 'partner'
ON CONFLICT (channel_id) DO NOTHING

-- name: accounts
SELECT DISTINCT ON (name) name, account_id FROM directory.accounts WHERE name = ANY($1::text[]) ORDER BY name, account_id

-- name: has_tokens
SELECT EXISTS (SELECT FROM directory.tokens WHERE account_id = $1)

-- name: locations
SELECT location_id AS id, name FROM directory.locations WHERE account_id = $1 ORDER BY location_id

-- name: departments
SELECT department_id AS id, name FROM directory.departments WHERE account_id = $1 ORDER BY department_id

-- name: groups
SELECT group_id AS id, ARRAY(SELECT user_id FROM directory.group_members m WHERE m.group_id = g.group_id ORDER BY 1) AS user_ids
FROM directory.groups g WHERE account_id = $1 ORDER BY group_id

-- name: users
SELECT user_id AS id, name, telephony,
    (SELECT min(number) FROM directory.extensions e WHERE e.user_id = u.user_id) AS extension,
    (SELECT min(pbx_user_id) FROM directory.pbx_users p WHERE p.user_id = u.user_id) AS pbx_user_id
FROM directory.users u WHERE account_id = $1 ORDER BY user_id

-- name: routes
SELECT match, value,
    ARRAY(SELECT user_id FROM directory.route_users x WHERE x.route_id = r.route_id ORDER BY 1) AS user_ids,
    ARRAY(SELECT location_id FROM directory.route_locations x WHERE x.route_id = r.route_id ORDER BY 1) AS location_ids
FROM directory.routes r WHERE account_id = $1 ORDER BY route_id

-- name: partners
SELECT DISTINCT ON (name) name, partner_id FROM directory.partners WHERE name = ANY($1::text[]) ORDER BY name, partner_id

-- name: token_is_good
SELECT EXISTS (
    SELECT FROM directory.tokens
    WHERE token_hash = $1 AND account_id = $2 AND name = $3
        AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
)

-- name: partner_token_is_good
SELECT EXISTS (
    SELECT FROM directory.partner_tokens
    WHERE token_hash = $1 AND partner_id = $2
        AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
)

-- name: oauth_secret_is_good
SELECT EXISTS (SELECT FROM directory.oauth_clients WHERE secret_hash = $1 AND client_id = $2 AND revoked_at IS NULL)

-- name: revoke_tokens
UPDATE directory.tokens SET revoked_at = now() WHERE account_id = $1 AND name = $2 AND revoked_at IS NULL
