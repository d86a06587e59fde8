-- name: keep
-- Safe to repeat: what is there already does no harm. Returns what was new.
INSERT INTO history.requests (
    event_id, id, account_id, channel_id, provider, method, path, path_event, status, outcome, reason, headers, fields,
    raw, body_cut, received_at
)
SELECT
    event_id, id, account_id, channel_id, provider, method, path, path_event, status, outcome, reason, headers::jsonb,
    fields::jsonb, raw, body_cut, received_at
FROM unnest(
    $1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::integer[],
    $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::boolean[], $16::timestamptz[]
) AS told (
    event_id, id, account_id, channel_id, provider, method, path, path_event, status, outcome, reason, headers, fields,
    raw, body_cut, received_at
)
ON CONFLICT (event_id) DO NOTHING
RETURNING outcome;

-- name: sweep
-- Deletes the oldest of those received before $1, at most $2; what another replica is deleting is left to it.
DELETE FROM history.requests WHERE event_id = ANY (ARRAY(
    SELECT event_id FROM history.requests WHERE received_at < $1
    ORDER BY received_at, id, event_id LIMIT $2 FOR UPDATE SKIP LOCKED
))
RETURNING event_id;

-- name: sweep_repeats
DELETE FROM history.repeats WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM history.repeats WHERE received_at < $1 ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED
))
RETURNING uid;

-- name: note_repeats
-- Of copies of events those that are not the one that stands. What the broker delivers twice is the same copy.
INSERT INTO history.repeats (account_id, received_at, request_id, channel_id, uid, event_id)
SELECT e.account_id, told.received_at, told.request_id, e.channel_id, uid, id
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[]) AS told (uid, id, request_id, received_at)
JOIN history.events e USING (uid, id)
WHERE e.channel_id IS NOT NULL
    AND (e.request_id, e.received_at) IS DISTINCT FROM (told.request_id, told.received_at)
ON CONFLICT DO NOTHING;

-- name: mark_applied
UPDATE history.requests SET applied_at = coalesce(applied_at, now()), applied_events = $2::jsonb
WHERE event_id = $1
RETURNING event_id;

-- name: newest_kept
-- One page from behind ($3, $4, $5) on. `whose` is one of two conditions on $1 in store.py: an account's, for which its
-- index serves, or anybody's.
SELECT * FROM history.requests
WHERE {whose}
    AND (received_at, id, event_id) < ($3::timestamptz, $4::text, $5::uuid)
    AND received_at >= $6::timestamptz AND received_at < $7::timestamptz
    AND ($8::bigint IS NULL OR channel_id = $8)
    AND ($9::text IS NULL OR provider = $9)
    AND ($10::text IS NULL OR CASE WHEN applied_at IS NULL THEN outcome ELSE 'accepted' END = $10)
    AND ($11::text IS NULL OR id = $11)
    AND {shown}
ORDER BY received_at DESC, id DESC, event_id DESC
LIMIT $2;

-- name: latest_kept
SELECT * FROM history.requests
WHERE {whose} AND id = $2 AND ($3::bigint IS NULL OR channel_id = $3) AND {shown}
ORDER BY received_at DESC, event_id DESC
LIMIT 1;

-- name: kept_shown
-- A condition of the two statements above it. Of a call that was deleted nothing is shown, though the request was applied by
-- hand.
(applied_events = '[]' OR NOT EXISTS (
    SELECT FROM jsonb_to_recordset(applied_events) AS told (call_uid uuid) JOIN history.calls ON calls.uid = told.call_uid
    WHERE calls.deleted
));

-- name: shown
-- A condition of the two statements below it. A request that is kept in history.requests is left to it (it was applied by
-- hand), and of a call that was deleted nothing is shown.
NOT EXISTS (
    SELECT FROM history.requests kept
    WHERE kept.id = e.request_id AND kept.received_at = e.received_at AND kept.account_id = e.account_id
) AND NOT EXISTS (SELECT FROM history.calls WHERE calls.uid = e.uid AND calls.deleted);

-- name: newest_accepted
-- Requests of which events came: one page from behind ($3, $4) on, with $5 from there on. Channel by channel, each from
-- its newest on, then the newest of all: so a quiet channel beside a busy one costs no more than any other.
WITH RECURSIVE channels AS (
    (
        SELECT channel_id, body::json -> 'data' ->> 'provider' AS provider FROM history.events
        WHERE account_id = $1 AND channel_id IS NOT NULL AND request_id IS NOT NULL
        ORDER BY channel_id LIMIT 1
    )
    UNION ALL
    SELECT following.channel_id, following.provider
    FROM channels CROSS JOIN LATERAL (
        SELECT e.channel_id, e.body::json -> 'data' ->> 'provider' AS provider FROM history.events e
        WHERE e.account_id = $1 AND e.channel_id > channels.channel_id AND e.request_id IS NOT NULL
        ORDER BY e.channel_id LIMIT 1
    ) AS following
)
SELECT request.received_at, request.id, channels.channel_id, $1::bigint AS account_id
FROM channels CROSS JOIN LATERAL (
    SELECT DISTINCT ON (e.received_at, e.request_id) e.received_at, e.request_id AS id FROM history.events e
    WHERE e.account_id = $1 AND e.channel_id = channels.channel_id AND e.request_id IS NOT NULL
        AND (e.received_at, e.request_id) <= ($3::timestamptz, $4::text)
        AND ($5::boolean OR (e.received_at, e.request_id) <> ($3, $4))
        AND e.received_at >= $6::timestamptz AND e.received_at < $7::timestamptz
        AND {shown}
    ORDER BY e.received_at DESC, e.request_id DESC
    LIMIT $2
) AS request
WHERE ($8::bigint IS NULL OR channels.channel_id = $8) AND ($9::text IS NULL OR channels.provider = $9)
ORDER BY received_at DESC, id DESC
LIMIT $2;

-- name: latest_accepted
SELECT e.received_at, e.request_id AS id, e.channel_id, e.account_id FROM history.events e
WHERE {whose} AND e.request_id = $2 AND e.channel_id IS NOT NULL AND ($3::bigint IS NULL OR e.channel_id = $3)
    AND {shown}
ORDER BY e.received_at DESC
LIMIT 1;

-- name: newest_repeated
-- As `newest_accepted`, for requests that told nothing new. One that told something new too is left to that.
SELECT DISTINCT ON (r.received_at, r.request_id) r.received_at, r.request_id AS id, r.channel_id, r.account_id
FROM history.repeats r JOIN history.events e ON e.uid = r.uid AND e.id = r.event_id
WHERE r.account_id = $1
    AND (r.received_at, r.request_id) <= ($3::timestamptz, $4::text)
    AND ($5::boolean OR (r.received_at, r.request_id) <> ($3, $4))
    AND r.received_at >= $6::timestamptz AND r.received_at < $7::timestamptz
    AND ($8::bigint IS NULL OR r.channel_id = $8)
    AND ($9::text IS NULL OR e.body::json -> 'data' ->> 'provider' = $9)
    AND NOT EXISTS (SELECT FROM history.calls WHERE calls.uid = r.uid AND calls.deleted)
    AND NOT EXISTS (
        SELECT FROM history.events own
        WHERE own.request_id = r.request_id AND own.account_id = r.account_id AND own.received_at = r.received_at
    )
ORDER BY r.received_at DESC, r.request_id DESC
LIMIT $2;

-- name: latest_repeated
SELECT received_at, request_id AS id, channel_id, account_id FROM history.repeats
WHERE {whose} AND request_id = $2 AND ($3::bigint IS NULL OR channel_id = $3)
    AND NOT EXISTS (SELECT FROM history.calls WHERE calls.uid = repeats.uid AND calls.deleted)
ORDER BY received_at DESC
LIMIT 1;

-- name: events_of_requests
-- What came of these requests of one account, and the provider's words: of the body the first $5 characters as it is
-- stored.
SELECT
    e.request_id, e.received_at, e.channel_id, e.uid, e.id, e.type, e.body::json -> 'data' ->> 'provider' AS provider,
    words.method, words.query, words.content_type, words.encoding, left(words.body, $5) AS body
FROM unnest($2::timestamptz[], $3::text[], $4::bigint[]) AS wanted (received_at, request_id, channel_id)
JOIN history.events e USING (received_at, request_id, channel_id)
LEFT JOIN LATERAL json_to_record(e.raw::json) AS words (
    method text, query text, content_type text, encoding text, body text
) ON true
WHERE e.account_id = $1
ORDER BY e.time, e.id;

-- name: events_of_repeats
-- The same for requests that told nothing new: the events that they told again, in the words of the first copy.
SELECT
    r.request_id, r.received_at, r.channel_id, e.uid, e.id, e.type, e.body::json -> 'data' ->> 'provider' AS provider,
    words.method, words.query, words.content_type, words.encoding, left(words.body, $5) AS body
FROM unnest($2::timestamptz[], $3::text[], $4::bigint[]) AS wanted (received_at, request_id, channel_id)
JOIN history.repeats r USING (received_at, request_id, channel_id)
JOIN history.events e ON e.uid = r.uid AND e.id = r.event_id
LEFT JOIN LATERAL json_to_record(e.raw::json) AS words (
    method text, query text, content_type text, encoding text, body text
) ON true
WHERE r.account_id = $1
ORDER BY e.time, e.id;
