CREATE TABLE ingest.integrations (
    channel_id bigint PRIMARY KEY,
    account_id bigint NOT NULL,
    enabled boolean NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ingest.integrations IS
    'Partner channels by their last setup command. A channel without a row has never been enabled, so it is not.';

CREATE TABLE ingest.identities (
    uid uuid PRIMARY KEY,
    account_id bigint NOT NULL,
    channel_id bigint NOT NULL,
    direction text NOT NULL CHECK (direction IN ('incoming', 'outgoing', 'internal')),
    phone text NOT NULL CHECK (phone <> ''),
    did text,
    subscriber text,
    opened_at timestamptz NOT NULL,
    opened_by text NOT NULL CHECK (opened_by IN ('ring', 'report', 'dialer')),
    call_key text,
    report_hash bytea CHECK (octet_length(report_hash) = 32),
    bound_at timestamptz
);
COMMENT ON TABLE ingest.identities IS
    'Calls that were told of, or are being placed, before anything named them: which uid stands for them. Kept for 30 days.';
COMMENT ON COLUMN ingest.identities.phone IS 'The other side''s number: E.164 where it could be read, else as written.';
COMMENT ON COLUMN ingest.identities.did IS 'The company''s own number, in the same way.';
COMMENT ON COLUMN ingest.identities.subscriber IS 'PBX user or SIP account.';
COMMENT ON COLUMN ingest.identities.opened_at IS 'When what opened it was received.';
COMMENT ON COLUMN ingest.identities.call_key IS 'The PBX''s own id of the call, once that is bound to it.';
COMMENT ON COLUMN ingest.identities.report_hash IS 'SHA-256 of the report that is bound to it, where that has no id of the call.';
COMMENT ON COLUMN ingest.identities.bound_at IS 'When what closed it was received; NULL = open.';

CREATE UNIQUE INDEX identities_call_key ON ingest.identities (channel_id, call_key) WHERE call_key IS NOT NULL;
CREATE INDEX identities_report ON ingest.identities (channel_id, report_hash) WHERE report_hash IS NOT NULL;
CREATE INDEX identities_phone ON ingest.identities (channel_id, phone, direction, opened_at);
CREATE INDEX identities_opened ON ingest.identities (opened_at);
