-- name: known_calls
-- Which of these calls have a row; takes no lock, so it only spares work.
SELECT uid FROM history.calls WHERE uid = ANY($1::uuid[]);

-- name: insert_calls
-- Returns the calls that were new. Two consumers may try the same one: the second waits, then leaves it to `lock_calls`.
-- Both statements go by uid, and no consumer inserts after it has begun to lock, so none ever waits in a circle.
INSERT INTO history.calls (
    uid, account_id, channel_id, provider, call_key, state, final, outcome, cause, direction, from_raw,
    from_e164, from_name, to_raw, to_e164, to_name, did_raw, did_e164, queue, started_at, answered_at, ended_at,
    duration_seconds, talk_seconds, legs, answered_by, locations, assignee, client_id, contact_id, external_id,
    call_number, ticket_number, comments, recordings, deleted, events, first_received_at, last_received_at,
    settled, revision
)
SELECT
    uid, account_id, channel_id, provider, call_key, state, final, outcome, cause, direction, from_raw,
    from_e164, from_name, to_raw, to_e164, to_name, did_raw, did_e164, queue, started_at, answered_at, ended_at,
    duration_seconds, talk_seconds, legs::jsonb, answered_by, locations::bigint[], assignee, client_id,
    contact_id, external_id, call_number, ticket_number,
    CASE WHEN comments = '[]' THEN '{}' ELSE ARRAY(SELECT jsonb_array_elements_text(comments::jsonb)) END,
    recordings::jsonb, deleted, events, first_received_at, last_received_at,
    outcome, (outcome IS NOT NULL)::integer
FROM unnest(
    $1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[],
    $17::text[], $18::text[], $19::text[], $20::timestamptz[], $21::timestamptz[], $22::timestamptz[],
    $23::double precision[], $24::double precision[], $25::text[], $26::text[], $27::text[], $28::bigint[],
    $29::bigint[], $30::bigint[], $31::text[], $32::bigint[], $33::bigint[], $34::text[], $35::text[],
    $36::boolean[], $37::integer[], $38::timestamptz[], $39::timestamptz[]
) AS told (
    uid, account_id, channel_id, provider, call_key, state, final, outcome, cause, direction, from_raw,
    from_e164, from_name, to_raw, to_e164, to_name, did_raw, did_e164, queue, started_at, answered_at, ended_at,
    duration_seconds, talk_seconds, legs, answered_by, locations, assignee, client_id, contact_id, external_id,
    call_number, ticket_number, comments, recordings, deleted, events, first_received_at, last_received_at
)
ORDER BY uid
ON CONFLICT (uid) DO NOTHING
RETURNING uid;

-- name: lock_calls
-- From here to the end of the transaction nobody else adds to these calls.
SELECT uid, account_id FROM history.calls WHERE uid = ANY($1::uuid[]) ORDER BY uid FOR NO KEY UPDATE;

-- name: insert_events
-- Safe to repeat. Of two copies the one that was received first stands (then by time and request, as in shared/call).
-- Returns what was written; what is left out was known.
INSERT INTO history.events (uid, id, account_id, type, time, received_at, request_id, body, raw)
SELECT * FROM unnest(
    $1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::text[], $8::text[],
    $9::text[]
)
ON CONFLICT (uid, id) DO UPDATE SET
    account_id = excluded.account_id, type = excluded.type, time = excluded.time, received_at = excluded.received_at,
    request_id = excluded.request_id, body = excluded.body, raw = excluded.raw
WHERE (excluded.received_at, excluded.time, coalesce(excluded.request_id, ''))
    < (events.received_at, events.time, coalesce(events.request_id, ''))
RETURNING uid, id;

-- name: other_events
-- The events of these calls but those at hand.
SELECT uid, body FROM history.events WHERE uid = ANY($1::uuid[]) AND id <> ALL($2::uuid[]);

-- name: update_calls
-- What the events say now. The revision tells those who were told of an ended call that its outcome is another one.
UPDATE history.calls SET
    channel_id = told.channel_id, provider = told.provider, call_key = told.call_key, state = told.state,
    final = told.final, outcome = told.outcome, cause = told.cause, direction = told.direction,
    from_raw = told.from_raw, from_e164 = told.from_e164, from_name = told.from_name, to_raw = told.to_raw,
    to_e164 = told.to_e164, to_name = told.to_name, did_raw = told.did_raw, did_e164 = told.did_e164,
    queue = told.queue, started_at = told.started_at, answered_at = told.answered_at, ended_at = told.ended_at,
    duration_seconds = told.duration_seconds, talk_seconds = told.talk_seconds, legs = told.legs::jsonb,
    answered_by = told.answered_by, locations = told.locations::bigint[], assignee = told.assignee,
    client_id = told.client_id, contact_id = told.contact_id, external_id = told.external_id,
    call_number = told.call_number, ticket_number = told.ticket_number,
    comments = CASE WHEN told.comments = '[]' THEN '{}' ELSE ARRAY(SELECT jsonb_array_elements_text(told.comments::jsonb)) END,
    recordings = told.recordings::jsonb, deleted = told.deleted, events = told.events,
    first_received_at = told.first_received_at, last_received_at = told.last_received_at,
    settled = coalesce(told.outcome, calls.settled),
    revision = calls.revision + (told.outcome IS DISTINCT FROM coalesce(calls.settled, '') AND told.outcome IS NOT NULL)::integer,
    updated_at = now()
FROM unnest(
    $1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[],
    $17::text[], $18::text[], $19::text[], $20::timestamptz[], $21::timestamptz[], $22::timestamptz[],
    $23::double precision[], $24::double precision[], $25::text[], $26::text[], $27::text[], $28::bigint[],
    $29::bigint[], $30::bigint[], $31::text[], $32::bigint[], $33::bigint[], $34::text[], $35::text[],
    $36::boolean[], $37::integer[], $38::timestamptz[], $39::timestamptz[]
) AS told (
    uid, account_id, channel_id, provider, call_key, state, final, outcome, cause, direction, from_raw,
    from_e164, from_name, to_raw, to_e164, to_name, did_raw, did_e164, queue, started_at, answered_at, ended_at,
    duration_seconds, talk_seconds, legs, answered_by, locations, assignee, client_id, contact_id, external_id,
    call_number, ticket_number, comments, recordings, deleted, events, first_received_at, last_received_at
)
WHERE calls.uid = told.uid;

-- name: write_tickets
-- Called under the lock of the calls' rows, so nobody else writes these.
INSERT INTO history.tickets (uid, account_id, id, channel_id, department_id, assignee)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
ON CONFLICT (uid) DO UPDATE SET
    id = excluded.id, channel_id = excluded.channel_id, department_id = excluded.department_id,
    assignee = excluded.assignee, updated_at = now();

-- name: calls_with_events
-- One step through the calls that have events, by uid; of all, or of some.
SELECT uid, min(account_id) AS account_id FROM history.events
WHERE uid > $1 AND ($2::uuid[] IS NULL OR uid = ANY($2))
GROUP BY uid ORDER BY uid LIMIT $3;
