package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// SeriesModel is a recogniser of a library of kind series.
type SeriesModel struct {
	WorkspaceID     uuid.UUID
	LibraryID       uuid.UUID
	Version         int    // from 1
	SHA256          string // of the training data, lower-case hex
	SourceName      string
	SourceKey       string // of the training data in the bucket
	ModelKey        string // of the encoded recogniser in the bucket
	ModelBytes      int64
	FeaturesVersion int
	Method          string
	Length          int // points of a window
	Classes         int
	Examples        int64 // in the training data
	TrainedOn       int64
	Accuracy        float64 // of left-out examples, [0, 1]
	LogLoss         float64
	WorkflowID      string
	CreatedAt       time.Time
}

// SeriesClass is a pattern of a library of kind series.
type SeriesClass struct {
	Name      string
	PatternID pattern.ID
	Examples  int64
}

// ModelChange is the payload of a TopicLibrary event that tells of a new recogniser.
type ModelChange struct {
	Revision int64 `json:"revision"`
	Model    int   `json:"model"` // version
}

const modelColumns = `workspace_id, library_id, version, sha256, source_name, source_key, model_key, model_bytes, features_version, method, length,
	classes, examples, trained_on, accuracy, log_loss, workflow_id, created_at`

func scanModel(row pgx.CollectableRow) (SeriesModel, error) {
	m, err := pgx.RowToStructByPos[SeriesModel](row)
	m.SourceName = plain(m.SourceName)
	return m, err
}

// SaveSeriesModel stores a recogniser with its classes and its outbox event as the next version of the library, which
// the transaction has locked. Where the same training data was trained before, fresh is false and saved is what it gave.
func SaveSeriesModel(ctx context.Context, tx pgx.Tx, lib Library, m SeriesModel, classes []SeriesClass) (saved SeriesModel, fresh bool, err error) {
	saved, err = SeriesModelOf(ctx, tx, lib.ID, m.SHA256)
	if !errors.Is(err, ErrNotFound) {
		return saved, false, err
	}
	saved, err = one(ctx, tx, scanModel, `
		insert into tartan.series_models (workspace_id, library_id, version, sha256, source_name, source_key, model_key, model_bytes, features_version,
			method, length, classes, examples, trained_on, accuracy, log_loss, workflow_id)
		select $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5, $6, $7::bigint, $8::int, $9, $10::int, $11::int, $12::bigint, $13::bigint, $14::float8, $15::float8, $16
		from tartan.series_models where library_id = $2
		returning `+modelColumns,
		lib.WorkspaceID, lib.ID, m.SHA256, stored(m.SourceName), m.SourceKey, m.ModelKey, m.ModelBytes, m.FeaturesVersion,
		m.Method, m.Length, m.Classes, m.Examples, m.TrainedOn, m.Accuracy, m.LogLoss, m.WorkflowID)
	if err != nil {
		return saved, false, fmt.Errorf("save the recogniser of library %s: %w", lib.Name, err)
	}
	batch := &pgx.Batch{}
	for _, c := range classes {
		batch.Queue(`insert into tartan.series_classes (workspace_id, library_id, version, name, pattern_id, examples) values ($1, $2, $3, $4, $5, $6)`,
			lib.WorkspaceID, lib.ID, saved.Version, c.Name, c.PatternID, c.Examples)
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return saved, false, fmt.Errorf("save the classes of library %s: %w", lib.Name, known(err))
	}
	if err := answerWith(ctx, tx, lib, lib.Revision+1, 0); err != nil {
		return saved, false, err
	}
	return saved, true, AppendOutbox(ctx, tx, lib.WorkspaceID, TopicLibrary, lib.ID.String(), ModelChange{lib.Revision + 1, saved.Version})
}

// answerWith lets a version answer for a library, or the highest where it is 0, at the revision. Its classes are then the active patterns; those
// of other versions rest with what was said of them.
func answerWith(ctx context.Context, tx pgx.Tx, lib Library, revision int64, version int) error {
	b := &pgx.Batch{}
	b.Queue(`update tartan.libraries set model_in_use = nullif($2, 0), revision = $3 where id = $1`, lib.ID, version, revision)
	b.Queue(`with model as (`+answering+`), made as (
			insert into tartan.patterns as p (workspace_id, library_id, id, template, slots, lines, first_seen, last_seen, revision, created_at)
			select c.workspace_id, c.library_id, c.pattern_id, c.name, '[]', c.examples, m.created_at, m.created_at, $2, now()
			from model m join tartan.series_classes c on c.library_id = m.library_id and c.version = m.version
			on conflict (library_id, id) do update set state = 'active', lines = excluded.lines, first_seen = excluded.first_seen, last_seen = excluded.last_seen,
				revision = excluded.revision
			returning p.*)
		insert into tartan.pattern_versions (workspace_id, library_id, pattern_id, version, template, slots, revision, created_at)
		select workspace_id, library_id, id, version, template, slots, revision, now() from made on conflict do nothing`, lib.ID, revision)
	b.Queue(`update tartan.patterns p set state = 'retired', lines = 0, first_seen = null, last_seen = null, revision = $2
		where library_id = $1 and state = 'active' and not exists (
			select from (`+answering+`) m join tartan.series_classes c on c.library_id = m.library_id and c.version = m.version where c.pattern_id = p.id)`, lib.ID, revision)
	b.Queue(`update tartan.libraries set patterns = (select count(*) from tartan.patterns where library_id = $1 and state = 'active') where id = $1`, lib.ID)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("let version %d of library %s answer: %w", version, lib.Name, known(err))
	}
	return nil
}

// answering is the recogniser that answers for library $1.
const answering = `select * from tartan.series_models where library_id = $1
	and version = coalesce((select model_in_use from tartan.libraries where id = $1), (select max(version) from tartan.series_models where library_id = $1))`

// SeriesVersions returns the highest version of a library's recognisers, 0 where there is none.
func SeriesVersions(ctx context.Context, q Querier, libraryID uuid.UUID) (n int, err error) {
	err = q.QueryRow(ctx, `select coalesce(max(version), 0) from tartan.series_models where library_id = $1`, libraryID).Scan(&n)
	return n, known(err)
}

// SeriesModelOf returns the recogniser that was trained from the data with this digest, or ErrNotFound.
func SeriesModelOf(ctx context.Context, q Querier, libraryID uuid.UUID, sha256 string) (SeriesModel, error) {
	m, err := one(ctx, q, scanModel, `select `+modelColumns+` from tartan.series_models where library_id = $1 and sha256 = $2`, libraryID, sha256)
	if err != nil {
		return m, fmt.Errorf("recogniser of training data %s: %w", sha256, err)
	}
	return m, nil
}

// SeriesModelInUse returns the recogniser that answers for a library, or ErrNotFound.
func SeriesModelInUse(ctx context.Context, q Querier, libraryID uuid.UUID) (SeriesModel, error) {
	m, err := one(ctx, q, scanModel, `select `+modelColumns+` from (`+answering+`) m`, libraryID)
	if err != nil {
		return m, fmt.Errorf("recogniser of library %s: %w", libraryID, err)
	}
	return m, nil
}

// SeriesClasses returns the classes of one version, by name.
func SeriesClasses(ctx context.Context, q Querier, libraryID uuid.UUID, version int) ([]SeriesClass, error) {
	rows, _ := q.Query(ctx, `select name, pattern_id, examples from tartan.series_classes where library_id = $1 and version = $2 order by name`, libraryID, version)
	c, err := pgx.CollectRows(rows, pgx.RowToStructByPos[SeriesClass])
	if err != nil {
		return nil, fmt.Errorf("classes of library %s: %w", libraryID, known(err))
	}
	return c, nil
}
