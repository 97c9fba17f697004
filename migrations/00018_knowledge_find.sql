-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

-- One row a document is written with each publication, where one a word would cost more than all the rest of it.
alter table tartan.knowledge_searchable add column terms jsonb not null default '{}';
update tartan.knowledge_searchable s set terms = p.terms
from (select space_id, hash, jsonb_object_agg(term, frequency) terms from tartan.knowledge_postings group by space_id, hash) p
where p.space_id = s.space_id and p.hash = s.hash;
drop table tartan.knowledge_postings;
comment on table tartan.knowledge_searchable is 'Documents cut into terms, for searches while the index in memory is not there, and of moments that it does not reach back to.';
comment on column tartan.knowledge_searchable.terms is 'How often the document has each term, in the title twice as often.';

-- Who publishes holds the clock from before the moment of the publication until its end. Once each clock was free, nothing can be added to a moment
-- that is past. A lock takes more than a reader has; hence security definer.
-- +goose StatementBegin
create function tartan.settle_knowledge(moment timestamptz) returns table (space_id uuid, revision bigint)
language plpgsql security definer set search_path = '' as $$
begin
    if moment > pg_catalog.clock_timestamp() + interval '2 seconds' then
        raise exception 'the moment % is still to come', moment using errcode = '22023';
    end if;
    while moment > pg_catalog.clock_timestamp() loop -- clocks of two machines differ
        perform pg_catalog.pg_sleep(0.01);
    end loop;
    return query select c.space_id, c.revision from tartan.knowledge_clocks c
        where c.space_id = any ((select tartan.my_spaces('reader'))::uuid[]) order by c.space_id for share;
end $$;
-- +goose StatementEnd
comment on function tartan.settle_knowledge is 'Waits until what was published up to a moment in the spaces that the caller may read is committed, and returns their revisions.';
revoke execute on function tartan.settle_knowledge from public;
grant execute on function tartan.settle_knowledge to authenticated, service_role;

-- Vectors of a configured model are paid for once, for a text that any entry has or had.
create table tartan.knowledge_vectors (
    workspace_id uuid not null,
    space_id     uuid not null,
    hash         text collate "C" not null,
    model        text collate "C" not null,
    vector       bytea not null,
    primary key (space_id, hash, model),
    constraint knowledge_vectors_body_fkey foreign key (space_id, hash) references tartan.knowledge_bodies (space_id, hash) on delete cascade,
    constraint knowledge_vectors_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade,
    constraint knowledge_vectors_components check (octet_length(vector) > 0 and octet_length(vector) % 4 = 0)
);
comment on table tartan.knowledge_vectors is 'What a configured model made of documents, for the likeness of meaning.';
comment on column tartan.knowledge_vectors.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_vectors.space_id is 'The space it belongs to.';
comment on column tartan.knowledge_vectors.hash is 'The document.';
comment on column tartan.knowledge_vectors.model is 'The model.';
comment on column tartan.knowledge_vectors.vector is 'Components as float32, little-endian.';
call tartan.protect_space('tartan.knowledge_vectors', 'writer', '');

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
drop table tartan.knowledge_vectors;
drop function tartan.settle_knowledge;
create table tartan.knowledge_postings (
    workspace_id uuid not null,
    space_id     uuid not null,
    term         text collate "C" not null,
    hash         text collate "C" not null,
    frequency    int not null,
    primary key (space_id, term, hash) include (frequency),
    constraint knowledge_postings_searchable_fkey foreign key (space_id, hash) references tartan.knowledge_searchable (space_id, hash) on delete cascade,
    constraint knowledge_postings_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade,
    constraint knowledge_postings_frequency_positive check (frequency > 0)
);
create index knowledge_postings_hash_idx on tartan.knowledge_postings (space_id, hash);
call tartan.protect_space('tartan.knowledge_postings', 'writer', 'insert, delete');
insert into tartan.knowledge_postings (workspace_id, space_id, term, hash, frequency)
    select s.workspace_id, s.space_id, t.key, s.hash, t.value::int from tartan.knowledge_searchable s, jsonb_each(s.terms) t;
alter table tartan.knowledge_searchable drop column terms;
comment on table tartan.knowledge_searchable is 'Documents whose terms are in knowledge_postings.';
comment on table tartan.knowledge_postings is 'Which documents have which terms: an inverted index.';
comment on column tartan.knowledge_postings.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_postings.space_id is 'The space it belongs to.';
comment on column tartan.knowledge_postings.term is 'Stem of a word, in lower case.';
comment on column tartan.knowledge_postings.hash is 'The document.';
comment on column tartan.knowledge_postings.frequency is 'How often it has the term, in the title twice as often.';
