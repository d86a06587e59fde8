-- Which call a message of the partner API is of. Every moment is an argument: nothing is decided by the database's clock.

-- name: lock
-- Until the transaction ends, no other replica decides about this phone, or this id of a call.
SELECT pg_advisory_xact_lock(hashtextextended($1, 0))

-- name: joined_by_ring
-- The call that a ring belongs to: of the phone's open ones, by way of the same company number or subscriber, the oldest that
-- was opened after $7; else one that a report has opened, at $8 or later. A statement of its own, so that it sees what was
-- committed while the lock was waited for.
SELECT coalesce(
    (
        SELECT uid FROM ingest.identities
        WHERE account_id = $1 AND channel_id = $2 AND direction = $3 AND phone = $4 AND bound_at IS NULL
            AND (did = $5 OR subscriber = $6) AND opened_at > $7
        ORDER BY opened_at, uid LIMIT 1
    ),
    (
        SELECT uid FROM ingest.identities
        WHERE account_id = $1 AND channel_id = $2 AND direction = $3 AND phone = $4 AND opened_by = 'report'
            AND (did = $5 OR subscriber = $6) AND opened_at >= $8
        ORDER BY opened_at DESC, uid LIMIT 1
    )
)

-- name: reported_by_id
-- The call that the report with this id ($3) was bound to.
SELECT uid, bound_at FROM ingest.identities WHERE account_id = $1 AND channel_id = $2 AND call_key = $3

-- name: reported_alike
-- The call that a report of the same words was last bound to: at $4 or later, or ever.
SELECT uid, bound_at FROM ingest.identities
WHERE account_id = $1 AND channel_id = $2 AND report_hash = $3 AND ($4::timestamptz IS NULL OR bound_at >= $4)
ORDER BY bound_at DESC, uid LIMIT 1

-- name: open_for_report
-- The oldest open call of the phone that was opened from $5 to $6; one by way of the same company number or subscriber first.
SELECT uid, opened_at FROM ingest.identities
WHERE account_id = $1 AND channel_id = $2 AND direction = $3 AND phone = $4 AND bound_at IS NULL
    AND opened_at BETWEEN $5 AND $6
ORDER BY coalesce(did = $7 OR subscriber = $8, false) DESC, opened_at, uid LIMIT 1

-- name: open
-- Safe to repeat.
INSERT INTO ingest.identities
    (uid, account_id, channel_id, direction, phone, did, subscriber, opened_at, opened_by, call_key, report_hash, bound_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (uid) DO NOTHING

-- name: bind
UPDATE ingest.identities SET call_key = $2, report_hash = $3, bound_at = $4 WHERE uid = $1

-- name: forget
-- At most $2 of the identities that were opened and, if they are, bound before $1. What somebody is at is passed over.
WITH old AS (
    SELECT uid FROM ingest.identities
    WHERE opened_at < $1 AND (bound_at IS NULL OR bound_at < $1)
    ORDER BY opened_at LIMIT $2
    FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM ingest.identities i USING old WHERE i.uid = old.uid RETURNING i.uid
)
SELECT count(*) FROM gone
