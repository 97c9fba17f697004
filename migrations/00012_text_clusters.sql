-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table tartan.text_clusters (
    workspace_id uuid not null,
    library_id   uuid not null,
    pattern_id   text collate "C" not null,
    embedder     text not null,
    centre       bytea not null,
    texts        bigint not null,
    threshold    real not null,
    examples     text[] not null,
    revision     bigint not null,
    primary key (library_id, pattern_id, embedder),
    constraint text_clusters_library_fkey foreign key (workspace_id, library_id) references tartan.libraries (workspace_id, id) on delete cascade,
    constraint text_clusters_pattern_fkey foreign key (library_id, pattern_id) references tartan.patterns (library_id, id) on delete cascade,
    constraint text_clusters_centre_form check (octet_length(centre) between 4 and 262144 and octet_length(centre) % 4 = 0),
    constraint text_clusters_texts_positive check (texts > 0),
    constraint text_clusters_threshold_range check (threshold > 0 and threshold <= 1),
    constraint text_clusters_examples_few check (cardinality(examples) <= 5)
);
comment on table tartan.text_clusters is 'Where the patterns of a library of free text lie among vectors of meaning. A pattern there is a cluster of texts; its template is the text nearest to the centre when it was made.';
comment on column tartan.text_clusters.workspace_id is 'The workspace it belongs to.';
comment on column tartan.text_clusters.library_id is 'The library it belongs to, of kind text.';
comment on column tartan.text_clusters.pattern_id is 'The pattern that the cluster is.';
comment on column tartan.text_clusters.embedder is 'Name of what made the vectors. Only vectors of one name are comparable; a library that changes it gets a second row a pattern.';
comment on column tartan.text_clusters.centre is 'Mean of the vectors of its texts, of unit length: 32-bit floats, the least significant byte first.';
comment on column tartan.text_clusters.texts is 'How many texts, repeated ones repeatedly, the centre is the mean of.';
comment on column tartan.text_clusters.threshold is 'Cosine to the centre from which a text belongs to it.';
comment on column tartan.text_clusters.examples is 'Up to five different texts of it.';
comment on column tartan.text_clusters.revision is 'Revision of the library when the row last changed.';
call tartan.protect('tartan.text_clusters', 'editor', 'insert, update');

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
drop table tartan.text_clusters;
