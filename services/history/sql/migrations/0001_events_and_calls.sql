CREATE TABLE history.events (
    uid uuid NOT NULL,
    id uuid NOT NULL,
    account_id bigint NOT NULL,
    type text NOT NULL,
    time timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    request_id text COLLATE "C",
    body text NOT NULL,
    raw text,
    -- A call is the set of its events, so this is its identity, and one index serves both "seen before?" and "all events
    -- of these calls". An id is made from its call's uid (or is random), so it names no second call.
    PRIMARY KEY (uid, id)
);
COMMENT ON TABLE history.events IS 'Every call event, once: of two copies the one received first stands. Written under the lock of its row in history.calls, which is why there is no foreign key.';
COMMENT ON COLUMN history.events.uid IS 'The call.';
COMMENT ON COLUMN history.events.time IS 'Effective time, by which the events of a call are ordered.';
COMMENT ON COLUMN history.events.received_at IS 'Our clock when the request came in.';
COMMENT ON COLUMN history.events.body IS 'The event as it was published, JSON, but without data.raw: what a call is folded from.';
COMMENT ON COLUMN history.events.raw IS 'data.raw as it was published, JSON: the provider''s own words. NULL where the event has none.';

CREATE INDEX events_by_request ON history.events (request_id) WHERE request_id IS NOT NULL;

CREATE TABLE history.calls (
    uid uuid PRIMARY KEY,
    id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    account_id bigint NOT NULL,
    channel_id bigint,
    provider text,
    call_key text,
    state text CHECK (state IN ('ringing', 'in_progress', 'ended')),
    final boolean NOT NULL DEFAULT false,
    outcome text CHECK (outcome IN ('answered', 'busy', 'missed', 'canceled', 'failed', 'unknown')),
    cause text,
    direction text CHECK (direction IN ('incoming', 'outgoing', 'internal')),
    from_raw text,
    from_e164 text,
    from_name text,
    to_raw text,
    to_e164 text,
    to_name text,
    did_raw text,
    did_e164 text,
    queue text,
    started_at timestamptz,
    answered_at timestamptz,
    ended_at timestamptz,
    duration_seconds double precision CHECK (duration_seconds >= 0),
    talk_seconds double precision CHECK (talk_seconds >= 0),
    legs jsonb NOT NULL DEFAULT '[]',
    answered_by text,
    locations bigint[] NOT NULL DEFAULT '{}',
    assignee bigint,
    client_id bigint,
    contact_id bigint,
    external_id text,
    call_number bigint,
    ticket_number bigint,
    comments text[] NOT NULL DEFAULT '{}',
    recordings jsonb NOT NULL DEFAULT '[]',
    deleted boolean NOT NULL DEFAULT false,
    events integer NOT NULL DEFAULT 0,
    first_received_at timestamptz,
    last_received_at timestamptz,
    settled text,
    revision integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((state = 'ended') = (outcome IS NOT NULL) OR state IS NULL),
    CHECK ((events = 0) = (started_at IS NULL))
);
COMMENT ON TABLE history.calls IS 'What Call.of makes of the events of a call, for lists and filters. Nothing here is told by anything else; it can be rebuilt from history.events.';
COMMENT ON COLUMN history.calls.id IS 'The CRM API''s id: given once per uid, kept by a rebuild. Numbers may be left out.';
COMMENT ON COLUMN history.calls.state IS 'NULL while nothing but notes is known.';
COMMENT ON COLUMN history.calls.final IS 'Ended for good: an ended call that is not final comes back when another leg starts.';
COMMENT ON COLUMN history.calls.started_at IS 'NULL in a row that has no event to fold yet; such a row is shown nowhere.';
COMMENT ON COLUMN history.calls.duration_seconds IS 'As told, from start to end.';
COMMENT ON COLUMN history.calls.talk_seconds IS 'As told, else from the first answer to the end.';
COMMENT ON COLUMN history.calls.legs IS 'By start, then name: leg, state, started_at, answered_at, ended_at, outcome, talk_seconds.';
COMMENT ON COLUMN history.calls.deleted IS 'A tombstone: hidden in every API, whatever comes later.';
COMMENT ON COLUMN history.calls.events IS 'How many different events it was folded from.';
COMMENT ON COLUMN history.calls.settled IS 'The outcome that the call last ended with, also while it is alive again.';
COMMENT ON COLUMN history.calls.revision IS '0 until the call first ended; rises whenever it has ended with another outcome than the time before.';
COMMENT ON COLUMN history.calls.updated_at IS 'Our clock when an event last changed the row.';

-- Every list is an account's, newest first. What is shown nowhere costs nothing here.
CREATE INDEX calls_by_start ON history.calls (account_id, started_at DESC, id DESC)
    WHERE started_at IS NOT NULL AND NOT deleted;
CREATE INDEX calls_by_external_id ON history.calls (account_id, external_id) WHERE external_id IS NOT NULL;

CREATE TABLE history.suspects (
    message_id text PRIMARY KEY,
    notes integer NOT NULL CHECK (notes > 0),
    noted_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE history.suspects IS 'Messages delivered ten times or more, noted before each handling; three notes without completion make one poison.';
