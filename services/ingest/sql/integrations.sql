-- Whether a partner channel is switched on by its partner.

-- name: set_enabled
INSERT INTO ingest.integrations (channel_id, account_id, enabled, changed_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (channel_id) DO UPDATE SET enabled = $3, changed_at = $4 WHERE integrations.enabled <> $3

-- name: is_enabled
SELECT EXISTS (SELECT FROM ingest.integrations WHERE channel_id = $1 AND account_id = $2 AND enabled)

-- name: enabled
SELECT channel_id FROM ingest.integrations WHERE enabled
