-- The run whose flow created a run, so that both can be cancelled together.
alter table flow_run add column parent_flow_run_id uuid references flow_run (id) on delete set null;

create index flow_run_parent_idx on flow_run (parent_flow_run_id) where parent_flow_run_id is not null;
