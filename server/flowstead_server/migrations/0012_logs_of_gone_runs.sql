-- Finds the lines of deleted runs by their index, whatever the planner thinks of how many runs there are.
-- Older partitions than the runs are not looked at. The hour allows for a clock that was set back between the two.
create or replace function delete_logs_of_gone_runs() returns trigger
language plpgsql as $$
begin
    delete from log l
    where l.flow_run_id = any(array(select id from gone))
        and l.created >= (select min(created) from gone) - interval '1 hour';
    return null;
end
$$;
