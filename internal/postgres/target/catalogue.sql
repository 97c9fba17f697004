with spaces as (
    select n.oid, n.nspname as name, n.nspowner, n.nspacl
    from pg_catalog.pg_namespace n
    where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'tartan_migrate', 'tartan_archive')
      and (pg_catalog.cardinality($1::text[]) = 0 or n.nspname = any ($1::text[]))
      and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_namespace'::regclass and d.objid = n.oid and d.deptype = 'e')
), rels as (
    select c.*, s.name as schema
    from pg_catalog.pg_class c join spaces s on s.oid = c.relnamespace
    where not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
)
select 'schema' as kind, '' as schema, '' as tbl, s.name, s.oid::text as id, jsonb_build_object(
    'owner', pg_get_userbyid(s.nspowner), 'grants', (select string_agg(a::text, ',' order by a::text collate "C") from unnest(coalesce(s.nspacl, acldefault('n', s.nspowner))) a),
    'comment', obj_description(s.oid, 'pg_namespace')) as facts
from spaces s
union all
select case r.relkind when 'v' then 'view' when 'm' then 'materialized view' else 'table' end, r.schema, '', r.relname, r.oid::text, jsonb_build_object(
    'owner', pg_get_userbyid(r.relowner), 'grants', (select string_agg(a::text, ',' order by a::text collate "C") from unnest(coalesce(r.relacl, acldefault('r', r.relowner))) a),
    'comment', obj_description(r.oid, 'pg_class'),
    'row level security', nullif(r.relrowsecurity, false)::text, 'forced row level security', nullif(r.relforcerowsecurity, false)::text,
    'persistence', nullif(r.relpersistence, 'p')::text, 'options', array_to_string(r.reloptions, ', '),
    'replica identity', case when r.relkind = 'r' then nullif(r.relreplident, 'd')::text end,
    'partition key', case when r.relkind = 'p' then pg_get_partkeydef(r.oid) end,
    'partition', case when r.relispartition then pg_get_expr(r.relpartbound, r.oid) end,
    'parents', (select string_agg(i.inhparent::regclass::text, ', ' order by i.inhseqno) from pg_inherits i where i.inhrelid = r.oid),
    'foreign', case when r.relkind = 'f' then 'yes' end,
    'populated', case when r.relkind = 'm' then r.relispopulated::text end,
    'definition', case when r.relkind in ('v', 'm') then pg_get_viewdef(r.oid) end)
from rels r where r.relkind in ('r', 'p', 'f', 'v', 'm')
union all
select 'column', r.schema, r.relname, a.attname, r.oid::text || '.' || a.attnum, jsonb_build_object(
    'position', (select count(*) from pg_attribute b where b.attrelid = a.attrelid and b.attnum > 0 and b.attnum <= a.attnum and not b.attisdropped)::text,
    'type', format_type(a.atttypid, a.atttypmod), 'not null', nullif(a.attnotnull, false)::text,
    'default', case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end, 'generated', case when a.attgenerated <> '' then pg_get_expr(d.adbin, d.adrelid) end,
    'identity', nullif(a.attidentity, '')::text, 'collation', case when a.attcollation <> t.typcollation then a.attcollation::regcollation::text end,
    'storage', case when a.attstorage <> t.typstorage then a.attstorage::text end,
    'statistics', case when a.attstattarget >= 0 then a.attstattarget::text end,
    'grants', (select string_agg(x::text, ',' order by x::text collate "C") from unnest(a.attacl) x), 'comment', col_description(r.oid, a.attnum))
from rels r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where r.relkind in ('r', 'p', 'f')
union all
select 'constraint', r.schema, r.relname, c.conname, c.oid::text, jsonb_build_object(
    'definition', regexp_replace(pg_get_constraintdef(c.oid), ' NOT VALID$', ''), 'valid', c.convalidated::text, 'type', c.contype::text,
    'inherited', case when c.coninhcount > 0 then 'yes' end, 'comment', obj_description(c.oid, 'pg_constraint'))
from rels r join pg_constraint c on c.conrelid = r.oid where c.contype in ('c', 'f', 'p', 'u', 'x') and r.relkind in ('r', 'p', 'f')
union all
select 'index', r.schema, t.relname, r.relname, r.oid::text, jsonb_build_object(
    'definition', pg_get_indexdef(r.oid), 'valid', (i.indisvalid and i.indisready and i.indislive)::text, 'constraint', c.conname, 'comment', obj_description(r.oid, 'pg_class'),
    'clustered', nullif(i.indisclustered, false)::text, 'replica identity', nullif(i.indisreplident, false)::text,
    'parents', (select string_agg(h.inhparent::regclass::text, ', ') from pg_inherits h where h.inhrelid = r.oid))
from rels r join pg_index i on i.indexrelid = r.oid join pg_class t on t.oid = i.indrelid
left join pg_constraint c on c.conindid = r.oid and c.conrelid = i.indrelid and c.contype in ('p', 'u', 'x')
union all
select 'sequence', r.schema, '', r.relname, r.oid::text, jsonb_build_object(
    'owner', pg_get_userbyid(r.relowner), 'grants', (select string_agg(a::text, ',' order by a::text collate "C") from unnest(coalesce(r.relacl, acldefault('s', r.relowner))) a),
    'comment', obj_description(r.oid, 'pg_class'), 'type', format_type(s.seqtypid, null), 'start', s.seqstart::text, 'increment', s.seqincrement::text,
    'min', s.seqmin::text, 'max', s.seqmax::text, 'cache', s.seqcache::text, 'cycle', nullif(s.seqcycle, false)::text,
    'owned by', (select d.refobjid::regclass::text || '.' || quote_ident(a.attname) from pg_depend d join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
        where d.classid = 'pg_class'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i') and d.refobjsubid > 0),
    'identity', (select 'yes' from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass and d.deptype = 'i' and d.refobjsubid > 0))
from rels r join pg_sequence s on s.seqrelid = r.oid
union all
select 'sequence value', r.schema, '', r.relname, r.oid::text, jsonb_build_object('last value', pg_sequence_last_value(r.oid)::text)
from rels r where case when r.relkind = 'S' then has_sequence_privilege(r.oid, 'usage, select') end
union all
select 'function', s.name, '', p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', p.oid::text, jsonb_build_object(
    'definition', case when p.prokind <> 'a' then pg_get_functiondef(p.oid) else 'aggregate returns ' || pg_get_function_result(p.oid) end, 'kind', p.prokind::text,
    'owner', pg_get_userbyid(p.proowner), 'grants', (select string_agg(a::text, ',' order by a::text collate "C") from unnest(coalesce(p.proacl, acldefault('f', p.proowner))) a),
    'comment', obj_description(p.oid, 'pg_proc'))
from pg_proc p join spaces s on s.oid = p.pronamespace
where not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
union all
select 'trigger', r.schema, r.relname, t.tgname, t.oid::text, jsonb_build_object(
    'definition', pg_get_triggerdef(t.oid), 'enabled', nullif(t.tgenabled, 'O')::text, 'comment', obj_description(t.oid, 'pg_trigger'))
from rels r join pg_trigger t on t.tgrelid = r.oid where not t.tgisinternal
union all
select 'policy', r.schema, r.relname, p.polname, p.oid::text, jsonb_build_object(
    'command', case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
    'restrictive', nullif(not p.polpermissive, false)::text,
    'roles', (select string_agg(case when o = 0 then 'public' else quote_ident(pg_get_userbyid(o)) end, ', ' order by o) from unnest(p.polroles) o),
    'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid), 'comment', obj_description(p.oid, 'pg_policy'))
from rels r join pg_policy p on p.polrelid = r.oid
union all
select 'rule', r.schema, r.relname, w.rulename, w.oid::text, jsonb_build_object('definition', pg_get_ruledef(w.oid), 'enabled', nullif(w.ev_enabled, 'O')::text, 'comment', obj_description(w.oid, 'pg_rewrite'))
from rels r join pg_rewrite w on w.ev_class = r.oid where w.rulename <> '_RETURN'
union all
select case t.typtype when 'e' then 'enum' when 'd' then 'domain' else 'type' end, s.name, '', t.typname, t.oid::text, jsonb_build_object(
    'owner', pg_get_userbyid(t.typowner), 'grants', (select string_agg(a::text, ',' order by a::text collate "C") from unnest(coalesce(t.typacl, acldefault('T', t.typowner))) a),
    'comment', obj_description(t.oid, 'pg_type'),
    'labels', (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid),
    'base', case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) end, 'not null', case when t.typtype = 'd' then nullif(t.typnotnull, false)::text end,
    'default', t.typdefault, 'collation', case when t.typtype = 'd' and t.typcollation <> 0 then t.typcollation::regcollation::text end,
    'constraints', (select string_agg('constraint ' || quote_ident(c.conname) || ' ' || pg_get_constraintdef(c.oid), ' ' order by c.conname) from pg_constraint c where c.contypid = t.oid and c.contype = 'c'),
    'attributes', case when t.typtype = 'c' then (select string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod), ', ' order by a.attnum)
        from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) end,
    'subtype', (select format_type(g.rngsubtype, null) from pg_range g where g.rngtypid = t.oid))
from pg_type t join spaces s on s.oid = t.typnamespace
where (t.typtype in ('e', 'd', 'r') or t.typtype = 'c' and exists (select from pg_class c where c.oid = t.typrelid and c.relkind = 'c'))
  and not exists (select from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e')
union all
select 'statistics', s.name, '', x.stxname, x.oid::text, jsonb_build_object('definition', pg_get_statisticsobjdef(x.oid), 'owner', pg_get_userbyid(x.stxowner), 'comment', obj_description(x.oid, 'pg_statistic_ext'))
from pg_statistic_ext x join spaces s on s.oid = x.stxnamespace
union all
select 'published table', r.schema, r.relname, p.pubname, q.oid::text, '{}'::jsonb
from rels r join pg_publication_rel q on q.prrelid = r.oid join pg_publication p on p.oid = q.prpubid
union all
select 'extension', '', '', e.extname, e.oid::text, jsonb_build_object('version', e.extversion, 'schema', n.nspname) from pg_extension e join pg_namespace n on n.oid = e.extnamespace
where pg_catalog.cardinality($1::text[]) = 0 or n.nspname = any ($1::text[])
