CREATE TABLE history.requests (
    event_id uuid PRIMARY KEY,
    id text COLLATE "C" NOT NULL,
    account_id bigint NOT NULL CHECK (account_id >= 0),
    channel_id bigint,
    provider text NOT NULL,
    method text NOT NULL,
    path text NOT NULL,
    path_event text NOT NULL DEFAULT '',
    status integer NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('unrecognised', 'refused')),
    reason text NOT NULL,
    headers jsonb NOT NULL DEFAULT '{}',
    fields jsonb,
    raw text,
    body_cut boolean NOT NULL DEFAULT false,
    received_at timestamptz NOT NULL,
    applied_at timestamptz,
    applied_events jsonb NOT NULL DEFAULT '[]'
);
COMMENT ON TABLE history.requests IS 'Requests of providers that were refused, or whose words nobody knew; deleted after some weeks. What was accepted is in history.events.';
COMMENT ON COLUMN history.requests.event_id IS 'The request.rejected event that told of it.';
COMMENT ON COLUMN history.requests.id IS 'What the provider was told, or had sent, as X-Request-Id. Not unique: senders repeat theirs.';
COMMENT ON COLUMN history.requests.account_id IS '0 where none is known, after a wrong key.';
COMMENT ON COLUMN history.requests.path IS 'Keys replaced by the first eight digits of their hash.';
COMMENT ON COLUMN history.requests.path_event IS 'The event that the URL names, where a provider''s URLs do.';
COMMENT ON COLUMN history.requests.raw IS 'The provider''s words as in history.events: JSON, credentials replaced, of the body at most the first 16 kB.';
COMMENT ON COLUMN history.requests.body_cut IS 'The body was longer than what is kept of it.';
COMMENT ON COLUMN history.requests.received_at IS 'Our clock when it came in.';
COMMENT ON COLUMN history.requests.applied_at IS 'When it was accepted after all, by an operator''s hand.';
COMMENT ON COLUMN history.requests.applied_events IS 'What came of it then: id, type and call_uid of each event. May be empty: it told of no call.';

-- Lists are newest first; of requests of one moment and id the event's id decides.
CREATE INDEX requests_of_account ON history.requests (account_id, received_at, id, event_id);
CREATE INDEX requests_by_age ON history.requests (received_at, id, event_id);
CREATE INDEX requests_by_id ON history.requests (id, received_at);

CREATE TABLE history.repeats (
    account_id bigint NOT NULL,
    received_at timestamptz NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    channel_id bigint NOT NULL,
    uid uuid NOT NULL,
    event_id uuid NOT NULL,
    PRIMARY KEY (account_id, received_at, request_id, uid, event_id)
);
COMMENT ON TABLE history.repeats IS 'Requests that told what was known: a provider''s retries. Of two copies of an event the first stands, so the other request''s id is only here; deleted after some days.';
COMMENT ON COLUMN history.repeats.uid IS 'With event_id the event that it told again.';

CREATE INDEX repeats_by_request ON history.repeats (request_id, account_id, received_at);
CREATE INDEX repeats_by_age ON history.repeats (received_at);

ALTER TABLE history.events ADD COLUMN channel_id bigint GENERATED ALWAYS AS (
    substring(body::json ->> 'source' FROM '^/ingest/[^/]+/([0-9]{1,18})$')::bigint
) STORED;
COMMENT ON COLUMN history.events.channel_id IS 'The channel by whose request the event came; NULL where it came from no provider''s request.';

-- An account's accepted requests, channel by channel: a quiet channel beside a busy one is found at once.
CREATE INDEX events_by_channel ON history.events (account_id, channel_id, received_at, request_id)
    WHERE channel_id IS NOT NULL AND request_id IS NOT NULL;
-- The latest request of an account with an id, however often its sender repeats it.
DROP INDEX history.events_by_request;
CREATE INDEX events_by_request ON history.events (request_id, account_id, received_at) WHERE request_id IS NOT NULL;
