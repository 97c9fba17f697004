-- +goose Up
set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table tartan.series_models (
    workspace_id     uuid not null,
    library_id       uuid not null,
    version          int not null,
    sha256           text not null,
    source_name      text not null default '',
    source_key       text not null,
    model_key        text not null,
    model_bytes      bigint not null,
    features_version int not null,
    method           text not null,
    length           int not null,
    classes          int not null,
    examples         bigint not null,
    trained_on       bigint not null,
    accuracy         double precision not null,
    log_loss         double precision not null,
    workflow_id      text not null,
    created_at       timestamptz not null default now(),
    primary key (library_id, version),
    constraint series_models_library_fkey foreign key (workspace_id, library_id) references tartan.libraries (workspace_id, id) on delete cascade,
    -- The same training data is trained once.
    constraint series_models_sha256_key unique (library_id, sha256),
    constraint series_models_sha256_form check (sha256 ~ '^[0-9a-f]{64}$'),
    constraint series_models_method_known check (method in ('features', 'nearest')),
    constraint series_models_counts_positive check (version > 0 and model_bytes > 0 and length > 0 and classes > 0 and trained_on > 0 and examples >= trained_on)
);
comment on table tartan.series_models is 'Recognisers of the libraries of kind series. Each is trained from one source and never changes; the highest version is the one that answers.';
comment on column tartan.series_models.workspace_id is 'The workspace it belongs to.';
comment on column tartan.series_models.library_id is 'The library it recognises for.';
comment on column tartan.series_models.version is 'Counts the recognisers of the library from 1.';
comment on column tartan.series_models.sha256 is 'SHA-256 of the training data as received, in hex.';
comment on column tartan.series_models.source_name is 'Where the training data came from, for people.';
comment on column tartan.series_models.source_key is 'Key of the training data in the bucket.';
comment on column tartan.series_models.model_key is 'Key of the encoded recogniser in the bucket.';
comment on column tartan.series_models.model_bytes is 'Size of the encoded recogniser.';
comment on column tartan.series_models.features_version is 'What the features mean. A process that knows another version refuses the recogniser.';
comment on column tartan.series_models.method is 'How it decides: features (MiniRocket and ridge) or nearest (dynamic time warping).';
comment on column tartan.series_models.length is 'Points that a window is brought to.';
comment on column tartan.series_models.classes is 'Number of classes.';
comment on column tartan.series_models.examples is 'Examples in the training data.';
comment on column tartan.series_models.trained_on is 'Examples that were trained on; fewer than examples where there were too many.';
comment on column tartan.series_models.accuracy is 'Share of the examples recognised when each is left out in turn, 0 to 1.';
comment on column tartan.series_models.log_loss is 'Mean -ln of the confidence in the true class when each example is left out in turn.';
comment on column tartan.series_models.workflow_id is 'The workflow that trained it.';
comment on column tartan.series_models.created_at is 'When it was stored.';

create table tartan.series_classes (
    workspace_id uuid not null,
    library_id   uuid not null,
    version      int not null,
    name         text not null,
    pattern_id   text not null,
    examples     bigint not null,
    primary key (library_id, version, name),
    constraint series_classes_library_fkey foreign key (workspace_id, library_id) references tartan.libraries (workspace_id, id) on delete cascade,
    constraint series_classes_model_fkey foreign key (library_id, version) references tartan.series_models (library_id, version) on delete cascade,
    constraint series_classes_examples_positive check (examples > 0)
);
comment on table tartan.series_classes is 'The patterns of a library of kind series: the classes that a recogniser tells apart.';
comment on column tartan.series_classes.workspace_id is 'The workspace it belongs to.';
comment on column tartan.series_classes.library_id is 'The library.';
comment on column tartan.series_classes.version is 'The recogniser.';
comment on column tartan.series_classes.name is 'Name of the class, as in the training data.';
comment on column tartan.series_classes.pattern_id is 'Id of the pattern: the fingerprint of the name, the same in every version.';
comment on column tartan.series_classes.examples is 'Examples of the class in the training data.';

call tartan.protect('tartan.series_models', 'editor', 'insert');
call tartan.protect('tartan.series_classes', 'editor', 'insert');

-- +goose Down
set local lock_timeout = '5s';
set local statement_timeout = '60s';
drop table tartan.series_classes;
drop table tartan.series_models;
