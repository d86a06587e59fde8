CREATE SEQUENCE ingest.ticket_numbers AS bigint;
COMMENT ON SEQUENCE ingest.ticket_numbers IS 'Numbers under which the channel-key API answers for tickets. Some may be left out.';
