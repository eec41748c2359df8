-- What 1.x kept in its cloud only: key-value pairs, secrets, concurrency limits and API keys.

create table key_value (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null references tenant on delete cascade,
    key text not null,
    value jsonb not null,
    unique (tenant_id, key),
    check (octet_length(key) between 1 and 1000)
);

-- Not on the wire as a table: values are given out one at a time, by name.
create table secret (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null references tenant on delete cascade,
    name text not null,
    value jsonb not null,
    unique (tenant_id, name),
    check (octet_length(name) between 1 and 1000)
);

create table task_tag_limit (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null references tenant on delete cascade,
    tag text not null,
    "limit" integer not null,
    unique (tenant_id, tag),
    check (octet_length(tag) between 1 and 1000),
    check ("limit" >= 0)
);

-- `name` is a label of flow runs.
create table flow_concurrency_limit (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null references tenant on delete cascade,
    name text not null,
    "limit" integer not null,
    unique (tenant_id, name),
    check (octet_length(name) between 1 and 1000),
    check ("limit" >= 0)
);

-- Not on the wire: key_hash, the SHA-256 of the key. The key itself is random enough that it needs no salt.
create table auth_api_key (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null references tenant on delete cascade,
    user_id uuid,
    name text not null,
    expires_at timestamptz,
    key_hash bytea not null unique,
    check (length(name) between 1 and 255),
    check (octet_length(key_hash) = 32)
);
create index auth_api_key_tenant_idx on auth_api_key (tenant_id);

do $$
declare
    table_name text;
begin
    foreach table_name in array array['key_value', 'secret', 'task_tag_limit', 'flow_concurrency_limit', 'auth_api_key']
    loop
        execute format(
            'create trigger %I before update on %I for each row execute function set_updated()',
            table_name || '_set_updated', table_name
        );
    end loop;
end
$$;
