-- Every statement but `version` returns one row of JSON text per row of the directory, in the shape of shared/directory/model.py.

-- name: version
SELECT version, contacts_version FROM directory.version

-- name: accounts
SELECT json_build_object(
    'id', account_id, 'name', name,
    'fallback', CASE WHEN fallback THEN json_build_object(
        'user_ids', ARRAY(SELECT user_id FROM directory.account_fallback_users f WHERE f.account_id = a.account_id ORDER BY 1),
        'group_ids', ARRAY(SELECT group_id FROM directory.account_fallback_groups f WHERE f.account_id = a.account_id ORDER BY 1)
    ) END
)::text FROM directory.accounts a ORDER BY account_id

-- name: locations
SELECT json_build_object(
    'id', location_id, 'account_id', account_id, 'name', name, 'time_zone', time_zone, 'hours', hours
)::text FROM directory.locations ORDER BY location_id

-- name: users
SELECT json_build_object(
    'id', user_id, 'account_id', account_id, 'name', name, 'email', email, 'role', role, 'telephony', telephony,
    'location_ids', ARRAY(SELECT location_id FROM directory.user_locations l WHERE l.user_id = u.user_id ORDER BY 1),
    'tokens_valid_from', tokens_valid_from
)::text FROM directory.users u ORDER BY user_id

-- name: agent_states
SELECT json_build_object(
    'user_id', user_id, 'account_id', account_id, 'available', available, 'do_not_disturb', do_not_disturb
)::text FROM directory.agent_states ORDER BY user_id

-- name: groups
SELECT json_build_object(
    'id', group_id, 'account_id', account_id, 'name', name,
    'user_ids', ARRAY(SELECT user_id FROM directory.group_members m WHERE m.group_id = g.group_id ORDER BY 1)
)::text FROM directory.groups g ORDER BY group_id

-- name: departments
SELECT json_build_object('id', department_id, 'account_id', account_id, 'name', name)::text
FROM directory.departments ORDER BY department_id

-- name: channels
SELECT json_build_object(
    'id', channel_id, 'account_id', account_id, 'provider', provider, 'name', name, 'enabled', enabled, 'number', number,
    'department_id', department_id, 'location_id', location_id,
    'audience', CASE WHEN audience THEN json_build_object(
        'user_ids', ARRAY(SELECT user_id FROM directory.channel_audience_users x WHERE x.channel_id = c.channel_id ORDER BY 1),
        'group_ids', ARRAY(SELECT group_id FROM directory.channel_audience_groups x WHERE x.channel_id = c.channel_id ORDER BY 1)
    ) END,
    'time_zone', time_zone, 'country', country, 'ring_seconds', ring_seconds, 'talk_seconds', talk_seconds,
    'leg_reopen_seconds', leg_reopen_seconds, 'trust_clock', trust_clock,
    'nameless', json_build_object(
        'join_seconds', nameless_join_seconds, 'slack_seconds', nameless_slack_seconds, 'late_seconds', nameless_late_seconds
    ),
    'limits', json_build_object('rate_per_second', rate_per_second, 'rate_burst', rate_burst),
    'mapping', mapping, 'address', address, 'port', port, 'extension_number', extension_number
)::text FROM directory.channels c ORDER BY channel_id

-- name: channel_keys
SELECT json_build_object(
    'channel_id', channel_id, 'kind', kind, 'hash', encode(key_hash, 'hex'), 'valid_until', valid_until
)::text FROM directory.channel_keys ORDER BY channel_key_id

-- name: partners
SELECT json_build_object(
    'id', partner_id, 'name', name,
    'entitlements', (
        SELECT coalesce(json_agg(json_build_object('account_id', account_id, 'channel_id', channel_id)), '[]')
        FROM directory.partner_entitlements e WHERE e.partner_id = p.partner_id
    )
)::text FROM directory.partners p ORDER BY partner_id

-- name: partner_tokens
SELECT json_build_object('partner_id', partner_id, 'hash', encode(token_hash, 'hex'), 'expires_at', expires_at)::text
FROM directory.partner_tokens WHERE revoked_at IS NULL ORDER BY partner_token_id

-- name: pbx_users
SELECT json_build_object(
    'id', pbx_user_row_id, 'account_id', account_id, 'channel_id', channel_id, 'pbx_user_id', pbx_user_id, 'user_id', user_id
)::text FROM directory.pbx_users ORDER BY pbx_user_row_id

-- name: extensions
SELECT json_build_object(
    'id', extension_id, 'account_id', account_id, 'kind', kind, 'number', number, 'short', short,
    'user_id', user_id, 'channel_id', channel_id
)::text FROM directory.extensions ORDER BY extension_id

-- name: sip_accounts
SELECT json_build_object(
    'id', sip_account_id, 'account_id', account_id, 'name', name, 'sip', sip, 'channel_id', channel_id,
    'username', username, 'kind', kind, 'number', number, 'active', active, 'user_id', user_id
)::text FROM directory.sip_accounts ORDER BY sip_account_id

-- name: routes
SELECT json_build_object(
    'id', route_id, 'account_id', account_id, 'channel_id', channel_id, 'match', match, 'value', value,
    'user_ids', ARRAY(SELECT user_id FROM directory.route_users x WHERE x.route_id = r.route_id ORDER BY 1),
    'group_ids', ARRAY(SELECT group_id FROM directory.route_groups x WHERE x.route_id = r.route_id ORDER BY 1),
    'location_ids', ARRAY(SELECT location_id FROM directory.route_locations x WHERE x.route_id = r.route_id ORDER BY 1)
)::text FROM directory.routes r ORDER BY route_id

-- name: tokens
SELECT json_build_object(
    'id', token_id, 'account_id', account_id, 'kind', kind, 'name', name, 'hash', encode(token_hash, 'hex'),
    'scopes', scopes, 'user_id', user_id, 'expires_at', expires_at
)::text FROM directory.tokens WHERE revoked_at IS NULL ORDER BY token_id

-- name: oauth_clients
SELECT json_build_object(
    'id', oauth_client_id, 'account_id', account_id, 'user_id', user_id, 'client_id', client_id,
    'hash', encode(secret_hash, 'hex')
)::text FROM directory.oauth_clients WHERE revoked_at IS NULL ORDER BY oauth_client_id

-- name: contacts
SELECT json_build_object(
    'id', contact_row_id, 'account_id', account_id, 'name', name, 'phones', phones, 'client_id', client_id,
    'contact_id', contact_id, 'responsible_user_id', responsible_user_id
)::text FROM directory.contacts ORDER BY contact_row_id
