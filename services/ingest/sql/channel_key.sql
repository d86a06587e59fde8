-- name: find_by_uid
SELECT uid, call_number, ticket_number, pbx_call_id, pbx_user_id,
    (SELECT count(*) FROM ingest.call_events e WHERE e.uid = c.uid) AS events
FROM ingest.calls c WHERE uid = $1 AND account_id = $2 AND channel_id = $3

-- name: find_by_number
SELECT uid, call_number, ticket_number, pbx_call_id, pbx_user_id,
    (SELECT count(*) FROM ingest.call_events e WHERE e.uid = c.uid) AS events
FROM ingest.calls c WHERE call_number = $1 AND account_id = $2 AND channel_id = $3

-- name: take_numbers
SELECT nextval('ingest.call_numbers') AS call_number, nextval('ingest.ticket_numbers') AS ticket_number

-- name: insert_call
-- Waits for whoever inserts the same call at this moment, and then does nothing.
INSERT INTO ingest.calls (uid, account_id, channel_id, call_number, ticket_number, pbx_call_id)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING

-- name: lock_call
SELECT uid, call_number, ticket_number, pbx_call_id, pbx_user_id
FROM ingest.calls WHERE uid = $1 AND account_id = $2 AND channel_id = $3 FOR UPDATE

-- name: events_of_call
SELECT event_id, request_hash, event, unconfirmed, due_at <= now() AS is_due
FROM ingest.call_events WHERE uid = $1 ORDER BY position

-- name: insert_event
INSERT INTO ingest.call_events (uid, position, event_id, request_hash, event, unconfirmed, due_at)
VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))

-- name: set_pbx_user
UPDATE ingest.calls SET pbx_user_id = $2 WHERE uid = $1

-- name: mark_confirmed
-- In the order of the primary key, so that two who mark the same rows never wait for one another in a circle.
WITH marked AS (
    SELECT uid, position FROM ingest.call_events
    WHERE event_id = ANY ($1::uuid[]) AND unconfirmed IS NOT NULL
    ORDER BY uid, position FOR UPDATE
)
UPDATE ingest.call_events e SET unconfirmed = NULL
FROM marked WHERE e.uid = marked.uid AND e.position = marked.position

-- name: claim_unconfirmed
-- What somebody else is at is passed over; who claims has until the next time that it is due.
WITH claimed AS (
    SELECT uid, position FROM ingest.call_events
    WHERE unconfirmed IS NOT NULL AND due_at <= now()
    ORDER BY due_at LIMIT $1
    FOR UPDATE SKIP LOCKED
)
UPDATE ingest.call_events e SET due_at = now() + make_interval(secs => $2)
FROM claimed WHERE e.uid = claimed.uid AND e.position = claimed.position
RETURNING e.event_id, e.unconfirmed
