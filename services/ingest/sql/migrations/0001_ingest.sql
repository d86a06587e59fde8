-- Ingest keeps nothing in the database for the providers it speaks with so far. Its schema and role exist from the
-- start, so that the boundary between the services is held by PostgreSQL before there is something behind it.
COMMENT ON SCHEMA ingest IS 'Owned by services/ingest: calls of APIs that answer with an id, nameless calls, integrations.';
