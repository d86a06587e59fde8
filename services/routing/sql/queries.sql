-- The write side of the directory. Every statement that names another row names its account too, so a wrong id is refused by
-- a foreign key and never reaches into another account.

-- name: insert_account
INSERT INTO directory.accounts (name) VALUES ($1) RETURNING account_id

-- name: list_accounts
SELECT a.account_id, a.name, a.created_at,
    (SELECT count(*) FROM directory.users u WHERE u.account_id = a.account_id) AS users,
    (SELECT count(*) FROM directory.channels c WHERE c.account_id = a.account_id AND c.provider <> 'manual') AS channels
FROM directory.accounts a ORDER BY a.account_id

-- name: insert_location
INSERT INTO directory.locations (account_id, name, time_zone, hours) VALUES ($1, $2, $3, $4::text::jsonb) RETURNING location_id

-- name: insert_department
INSERT INTO directory.departments (account_id, name) VALUES ($1, $2) RETURNING department_id

-- name: insert_user
INSERT INTO directory.users (account_id, name, email, role, telephony) VALUES ($1, $2, $3, $4, $5) RETURNING user_id

-- name: insert_user_locations
INSERT INTO directory.user_locations (account_id, user_id, location_id)
SELECT $1, $2, location_id FROM unnest($3::bigint[]) AS location_id

-- name: insert_group
INSERT INTO directory.groups (account_id, name) VALUES ($1, $2) RETURNING group_id

-- name: insert_group_members
INSERT INTO directory.group_members (account_id, group_id, user_id)
SELECT $1, $2, user_id FROM unnest($3::bigint[]) AS user_id

-- name: insert_channel
INSERT INTO directory.channels
    (account_id, provider, name, number, department_id, location_id, time_zone, country, enabled, mapping)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::jsonb) RETURNING channel_id

-- name: list_channels
-- Of one account ($1), of all where it is NULL, or one channel ($2).
SELECT channel_id, account_id, provider, name, number, enabled, department_id, location_id, time_zone, country,
    ring_seconds, talk_seconds, leg_reopen_seconds, trust_clock, created_at
FROM directory.channels
WHERE ($1::bigint IS NULL OR account_id = $1) AND ($2::bigint IS NULL OR channel_id = $2)
ORDER BY channel_id

-- name: lock_channel
SELECT account_id, provider FROM directory.channels WHERE channel_id = $1 FOR UPDATE

-- name: set_channel_enabled
UPDATE directory.channels SET enabled = $2 WHERE channel_id = $1 RETURNING channel_id

-- name: channel_mapping
SELECT mapping::text AS mapping FROM directory.channels WHERE channel_id = $1

-- name: set_channel_mapping
UPDATE directory.channels SET mapping = $2::text::jsonb WHERE channel_id = $1

-- name: set_channel_trust_clock
UPDATE directory.channels SET trust_clock = $2 WHERE channel_id = $1 RETURNING channel_id

-- name: insert_channel_key
INSERT INTO directory.channel_keys (account_id, channel_id, kind, key_hash, key_sealed) VALUES ($1, $2, $3, $4, $5)

-- name: channel_keys
SELECT kind, key_sealed, valid_until, created_at FROM directory.channel_keys
WHERE channel_id = $1 AND (valid_until IS NULL OR valid_until > now())
ORDER BY valid_until NULLS FIRST

-- name: drop_old_channel_key
DELETE FROM directory.channel_keys WHERE channel_id = $1 AND kind = $2 AND valid_until IS NOT NULL

-- name: retire_channel_key
UPDATE directory.channel_keys SET valid_until = $3 WHERE channel_id = $1 AND kind = $2 AND valid_until IS NULL

-- name: insert_pbx_user
INSERT INTO directory.pbx_users (account_id, channel_id, pbx_user_id, user_id) VALUES ($1, $2, $3, $4)
RETURNING pbx_user_row_id

-- name: insert_extension
INSERT INTO directory.extensions (account_id, kind, number, short, user_id, channel_id) VALUES ($1, $2, $3, $4, $5, $6)
RETURNING extension_id

-- name: next_sip_account_id
-- Drawn beforehand: a sealed password is bound to the row that it is in.
SELECT nextval(pg_get_serial_sequence('directory.sip_accounts', 'sip_account_id'))

-- name: insert_sip_account
INSERT INTO directory.sip_accounts
    (sip_account_id, account_id, name, sip, channel_id, username, password_sealed, kind, number, active, user_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: insert_route
INSERT INTO directory.routes (account_id, channel_id, match, value) VALUES ($1, $2, $3, $4) RETURNING route_id

-- name: insert_route_users
INSERT INTO directory.route_users (account_id, route_id, user_id)
SELECT $1, $2, user_id FROM unnest($3::bigint[]) AS user_id

-- name: insert_route_groups
INSERT INTO directory.route_groups (account_id, route_id, group_id)
SELECT $1, $2, group_id FROM unnest($3::bigint[]) AS group_id

-- name: insert_route_locations
INSERT INTO directory.route_locations (account_id, route_id, location_id)
SELECT $1, $2, location_id FROM unnest($3::bigint[]) AS location_id

-- name: insert_partner
INSERT INTO directory.partners (name) VALUES ($1) RETURNING partner_id

-- name: insert_partner_token
INSERT INTO directory.partner_tokens (partner_id, token_hash, expires_at) VALUES ($1, $2, $3) RETURNING partner_token_id

-- name: revoke_partner_tokens
UPDATE directory.partner_tokens SET revoked_at = now() WHERE partner_id = $1 AND revoked_at IS NULL

-- name: has_partner
SELECT EXISTS (SELECT FROM directory.partners WHERE partner_id = $1)

-- name: list_partners
SELECT partner_id, name,
    ARRAY(
        SELECT partner_token_id FROM directory.partner_tokens t
        WHERE t.partner_id = p.partner_id AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) ORDER BY 1
    ) AS tokens,
    ARRAY(
        SELECT concat_ws('/', account_id, channel_id) FROM directory.partner_entitlements e
        WHERE e.partner_id = p.partner_id ORDER BY account_id, channel_id NULLS FIRST
    ) AS entitlements
FROM directory.partners p ORDER BY partner_id

-- name: revoke_partner_token
UPDATE directory.partner_tokens SET revoked_at = coalesce(revoked_at, now())
WHERE partner_id = $1 AND partner_token_id = $2 RETURNING partner_token_id

-- name: is_partner_channel
SELECT EXISTS (SELECT FROM directory.channels WHERE account_id = $1 AND channel_id = $2 AND provider = 'partner')

-- name: delete_entitlement
DELETE FROM directory.partner_entitlements
WHERE partner_id = $1 AND account_id = $2 AND channel_id IS NOT DISTINCT FROM $3 RETURNING partner_id

-- name: insert_entitlement
INSERT INTO directory.partner_entitlements (partner_id, account_id, channel_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING

-- name: insert_token
INSERT INTO directory.tokens (account_id, kind, name, token_hash, scopes, user_id, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING token_id

-- name: list_tokens
SELECT token_id, account_id, kind, name, scopes, user_id, created_at, expires_at, revoked_at
FROM directory.tokens WHERE $1::bigint IS NULL OR account_id = $1 ORDER BY token_id

-- name: revoke_token
UPDATE directory.tokens SET revoked_at = coalesce(revoked_at, now()) WHERE token_id = $1 RETURNING token_id

-- name: insert_oauth_client
INSERT INTO directory.oauth_clients (account_id, user_id, client_id, secret_hash) VALUES ($1, $2, $3, $4)
RETURNING oauth_client_id

-- name: set_oauth_secret
UPDATE directory.oauth_clients SET secret_hash = $2 WHERE client_id = $1 AND revoked_at IS NULL RETURNING oauth_client_id
