CREATE SEQUENCE ingest.call_numbers AS bigint;
COMMENT ON SEQUENCE ingest.call_numbers IS 'Numbers under which the channel-key API answers for calls. Some may be left out.';

CREATE SEQUENCE ingest.ticket_numbers AS bigint;
COMMENT ON SEQUENCE ingest.ticket_numbers IS 'Numbers under which the channel-key API answers for tickets. Some may be left out.';

CREATE TABLE ingest.calls (
    uid uuid PRIMARY KEY,
    account_id bigint NOT NULL,
    channel_id bigint NOT NULL,
    call_number bigint NOT NULL UNIQUE,
    ticket_number bigint NOT NULL UNIQUE,
    pbx_call_id text,
    pbx_user_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (channel_id, pbx_call_id)
);
COMMENT ON TABLE ingest.calls IS 'Calls of the channel-key API. Whoever adds an event to a call holds the lock of its row.';
COMMENT ON COLUMN ingest.calls.uid IS
    'From the PBX''s id of the call where it gave one, else from the Idempotency-Key of the request, else from the number.';
COMMENT ON COLUMN ingest.calls.pbx_user_id IS
    'The PBX''s id by which the assignee was named last; NULL where he was found in another way.';

CREATE TABLE ingest.call_events (
    uid uuid NOT NULL REFERENCES ingest.calls ON DELETE CASCADE,
    position integer NOT NULL CHECK (position > 0),
    event_id uuid NOT NULL UNIQUE,
    request_hash bytea NOT NULL,
    event text NOT NULL,
    unconfirmed text,
    due_at timestamptz NOT NULL,
    PRIMARY KEY (uid, position)
);
COMMENT ON TABLE ingest.call_events IS 'The set of events of each call, in the order in which they were taken.';
COMMENT ON COLUMN ingest.call_events.request_hash IS 'SHA-256 of the request''s fields: tells a retry from a new request.';
COMMENT ON COLUMN ingest.call_events.event IS 'Without the sender''s own words: what the call is folded from.';
COMMENT ON COLUMN ingest.call_events.unconfirmed IS 'As it is published; NULL once RabbitMQ has confirmed it.';
COMMENT ON COLUMN ingest.call_events.due_at IS 'When it is published again, should it be unconfirmed by then.';
CREATE INDEX call_events_unconfirmed ON ingest.call_events (due_at) WHERE unconfirmed IS NOT NULL;
