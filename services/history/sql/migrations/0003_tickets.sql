COMMENT ON COLUMN history.calls.ticket_number IS 'Number of the ticket, where an API answered with one.';
