CREATE TABLE ingest.integrations (
    channel_id bigint PRIMARY KEY,
    account_id bigint NOT NULL,
    enabled boolean NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ingest.integrations IS
    'Partner channels by their last setup command. A channel without a row has never been enabled, so it is not.';
