-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

-- What the index in memory has, for a server whose index is not there yet, and to compare it with. Documents are cut into
-- terms once, by their content; which revisions have it is in the revisions.
create table tartan.knowledge_searchable (
    workspace_id uuid not null,
    space_id     uuid not null,
    hash         text collate "C" not null,
    analysis     int not null,
    language     text not null,
    length       int not null,
    length_code  smallint not null,
    primary key (space_id, hash),
    constraint knowledge_searchable_body_fkey foreign key (space_id, hash) references tartan.knowledge_bodies (space_id, hash) on delete cascade,
    constraint knowledge_searchable_space_fkey foreign key (workspace_id, space_id) references tartan.knowledge_spaces (workspace_id, id) on delete cascade,
    constraint knowledge_searchable_length check (length >= 0 and length_code between 0 and 255)
);
comment on table tartan.knowledge_searchable is 'Documents whose terms are in knowledge_postings.';
comment on column tartan.knowledge_searchable.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_searchable.space_id is 'The space it belongs to.';
comment on column tartan.knowledge_searchable.hash is 'The document.';
comment on column tartan.knowledge_searchable.analysis is 'Version of the way words become terms; those of another version are indexed again.';
comment on column tartan.knowledge_searchable.language is 'ISO 639-1 code of the language that its words were stemmed in.';
comment on column tartan.knowledge_searchable.length is 'Number of its words other than stop words, those of the title twice.';
comment on column tartan.knowledge_searchable.length_code is 'The length, rounded as the score takes it, as one of 256 codes.';

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
comment on table tartan.knowledge_postings is 'Which documents have which terms: an inverted index.';
comment on column tartan.knowledge_postings.workspace_id is 'The workspace it belongs to.';
comment on column tartan.knowledge_postings.space_id is 'The space it belongs to.';
comment on column tartan.knowledge_postings.term is 'Stem of a word, in lower case.';
comment on column tartan.knowledge_postings.hash is 'The document.';
comment on column tartan.knowledge_postings.frequency is 'How often it has the term, in the title twice as often.';

call tartan.protect_space('tartan.knowledge_searchable', 'writer', 'insert, delete');
call tartan.protect_space('tartan.knowledge_postings', 'writer', 'insert, delete');

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
drop table tartan.knowledge_postings, tartan.knowledge_searchable;
