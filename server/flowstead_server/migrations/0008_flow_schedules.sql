-- What the scheduler remembers of a flow whose schedule is on: when to look at it again (null: there is nothing more to
-- make), up to which time of its clocks runs have been made (null: none yet), and who looks at it right now.
create table flow_schedule (
    flow_id uuid primary key references flow (id) on delete cascade,
    due timestamptz,
    through timestamptz,
    lease uuid
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

create index flow_schedule_due_idx on flow_schedule (due) where due is not null;

insert into flow_schedule (flow_id, due)
select id, now() from flow where is_schedule_active and not archived;
