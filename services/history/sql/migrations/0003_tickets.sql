CREATE TABLE history.tickets (
    uid uuid PRIMARY KEY,
    account_id bigint NOT NULL,
    id bigint NOT NULL,
    channel_id bigint NOT NULL,
    department_id bigint,
    assignee bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE history.tickets IS 'One ticket for each call that was given a number for it. Written under the lock of its row in history.calls.';
COMMENT ON COLUMN history.tickets.uid IS 'The call.';
COMMENT ON COLUMN history.tickets.id IS 'The ticket''s number, as the API that took the call answered it. Not unique here: it is given elsewhere, and a number given twice must cost no call.';
COMMENT ON COLUMN history.tickets.channel_id IS 'The channel that the call came in by.';
COMMENT ON COLUMN history.tickets.department_id IS 'The channel''s department when the call came in; NULL where it had none.';
COMMENT ON COLUMN history.tickets.assignee IS 'The user whose call it is.';
COMMENT ON COLUMN history.tickets.updated_at IS 'Our clock when an event last changed the call.';

CREATE INDEX tickets_by_id ON history.tickets (account_id, id DESC, uid DESC);
-- Whose inbox it is is asked most, and most have few.
CREATE INDEX tickets_by_assignee ON history.tickets (account_id, assignee, id DESC, uid DESC)
    WHERE assignee IS NOT NULL;

COMMENT ON COLUMN history.calls.ticket_number IS 'Number of the ticket, where an API answered with one.';
