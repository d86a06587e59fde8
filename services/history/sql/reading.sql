-- name: wanted
-- The condition of both statements below it: an account's calls that are shown, as the CRM API filters them.
-- A filter that is NULL does not filter.
account_id = $1 AND started_at IS NOT NULL AND NOT deleted
    AND ($2::text IS NULL OR position(lower($2) IN lower(concat_ws(
        E'\n', from_raw, from_e164, to_raw, to_e164, array_to_string(comments, E'\n')))) > 0)
    AND ($3::text[] IS NULL OR from_e164 = ANY ($3) OR to_e164 = ANY ($3) OR from_raw = ANY ($3) OR to_raw = ANY ($3))
    AND ($4::timestamptz IS NULL OR started_at >= $4)
    AND ($5::timestamptz IS NULL OR started_at < $5)
    AND ($6::text IS NULL OR direction = $6)
    AND ($7::text IS NULL OR coalesce(outcome, state, 'unknown') = $7)
    AND ($8::bigint IS NULL OR channel_id = $8)
    AND ($9::bigint IS NULL OR client_id = $9)
    AND ($10::bigint IS NULL OR contact_id = $10)
    AND ($11::bigint IS NULL OR assignee = $11)
    AND ($12::text IS NULL OR external_id = $12);

-- name: count_calls
SELECT count(*) FROM history.calls WHERE {wanted};

-- name: list_calls
-- `order` is one of a fixed list in crm.py: with it in the text the planner sees which index serves.
SELECT * FROM history.calls WHERE {wanted} ORDER BY {order} LIMIT $13 OFFSET $14;

-- name: call_by_id
SELECT * FROM history.calls WHERE account_id = $1 AND id = $2 AND started_at IS NOT NULL AND NOT deleted;

-- name: call_by_uid
SELECT * FROM history.calls WHERE account_id = $1 AND uid = $2 AND started_at IS NOT NULL AND NOT deleted;

-- name: events_of_call
SELECT body, raw FROM history.events WHERE uid = $1;

-- name: newest_calls
-- One page of an account's calls, newest first, from behind ($2, $3) on.
SELECT * FROM history.calls
WHERE account_id = $1 AND started_at IS NOT NULL AND NOT deleted
    AND ($2::timestamptz IS NULL OR (started_at, id) < ($2, $3::bigint))
    AND ($4::bigint IS NULL OR channel_id = $4)
    AND ($5::text IS NULL OR direction = $5)
    AND ($6::text IS NULL OR state = $6)
    AND ($7::text IS NULL OR outcome = $7)
    AND ($8::bigint IS NULL OR $8 = ANY (locations))
ORDER BY started_at DESC, id DESC
LIMIT $9;

-- name: calls_of_location
-- Ended calls that routing put into a location, newest first. `word`: the partner API's for the outcome. Of those that
-- it has more than one for, the partner's own is kept; a call of which nobody can say how it ended reached nobody.
SELECT * FROM (
    SELECT *, CASE
        WHEN outcome = 'answered' THEN 'success'
        WHEN outcome = 'canceled' THEN 'cancel'
        WHEN outcome IN ('missed', 'busy') THEN outcome
        WHEN lower(cause) IN ('notallowed', 'notavailable', 'notfound') THEN lower(cause)
        ELSE 'notavailable'
    END AS word
    FROM history.calls
    WHERE account_id = $1 AND started_at IS NOT NULL AND NOT deleted AND state = 'ended'
        AND $2::bigint = ANY (locations)
        AND started_at >= $3 AND started_at < $4
        AND ($5::text[] IS NULL OR CASE
            WHEN direction = 'outgoing' THEN to_e164 = ANY ($5) OR to_raw = ANY ($5)
            ELSE from_e164 = ANY ($5) OR from_raw = ANY ($5)
        END)
        AND ($6::text[] IS NULL OR direction = ANY ($6))
        AND ($8::bigint[] IS NULL OR channel_id = ANY ($8))
) AS ended
WHERE $7::text[] IS NULL OR word = ANY ($7)
ORDER BY started_at DESC, id DESC
LIMIT $9 OFFSET $10;

-- name: list_tickets
-- One page of an account's tickets, highest number first, from behind ($2, $3) on. With its call a ticket is deleted.
SELECT
    t.*, c.call_number, c.direction, c.from_raw, c.from_e164, c.from_name, c.to_raw, c.to_e164, c.to_name, c.comments
FROM history.tickets t JOIN history.calls c USING (uid)
WHERE t.account_id = $1 AND NOT c.deleted
    AND ($2::bigint IS NULL OR (t.id, t.uid) < ($2, $3::uuid))
    AND ($4::bigint IS NULL OR t.assignee = $4)
    AND ($5::bigint IS NULL OR t.department_id = $5)
    AND ($6::bigint IS NULL OR t.channel_id = $6)
ORDER BY t.id DESC, t.uid DESC
LIMIT $7;

-- name: ticket_by_id
SELECT
    t.*, c.call_number, c.direction, c.from_raw, c.from_e164, c.from_name, c.to_raw, c.to_e164, c.to_name, c.comments
FROM history.tickets t JOIN history.calls c USING (uid)
WHERE t.account_id = $1 AND t.id = $2 AND NOT c.deleted
ORDER BY t.created_at, t.uid
LIMIT 1;
