-- How the servers tell a run that is silent from a time in which they could not hear.
-- One row: since when they receive heartbeats without a break, and when one of them last said so.
create table heartbeat_reception (
    id boolean primary key default true,
    receiving_since timestamptz not null,
    last_seen timestamptz not null,
    check (id)
);

-- beats: the process of the present claim has sent a heartbeat of its own (one whose heartbeats are off never does).
-- followed: when the agent that claimed the run last said that it looks after the process.
alter table flow_run_heartbeat
    add column beats boolean not null default false,
    add column followed timestamptz;
