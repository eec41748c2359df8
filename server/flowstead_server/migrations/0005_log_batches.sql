-- Batches of log lines that were stored lately, so that one that is sent again, because the answer to the first was lost,
-- is not stored twice. A service forgets them after an hour.
create table log_batch (
    batch_id uuid,
    tenant_id uuid,
    created timestamptz not null default now(),
    primary key (batch_id, tenant_id)
) with (autovacuum_vacuum_scale_factor = 0.05);
