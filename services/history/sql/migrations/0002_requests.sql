COMMENT ON SCHEMA history IS 'Owned by services/history: events, calls, tickets, requests that were refused.';
