package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ObserveChannel is the NOTIFY channel that tells of observations that wait, and of batches that were closed. Its messages carry nothing.
const ObserveChannel = "tartan_observations"

// The bounds of one observation. A larger one is not even read.
const (
	MaxObservedText   = 64 << 10
	MaxObservedRecord = 1 << 20
	MaxObservedSeries = 1 << 16 // points
)

// ObservationBatch is a set of observations of one library that are analysed together.
type ObservationBatch struct {
	WorkspaceID  uuid.UUID  `json:"workspace_id"`
	ID           uuid.UUID  `json:"id"`
	Library      string     `json:"library"`
	First        int64      `json:"first"` // ids of its observations
	Last         int64      `json:"last"`
	Observations int        `json:"observations"`
	Matched      int        `json:"matched"`
	Quarantined  int        `json:"quarantined"`
	NewPatterns  int        `json:"new_patterns"`
	CreatedAt    time.Time  `json:"created_at"`
	ClosedAt     *time.Time `json:"closed_at,omitempty"`
}

const batchColumns = `workspace_id, id, library, first_id, last_id, observations, matched, quarantined, new_patterns, created_at, closed_at`

// Observation is a row as it was inserted. Of Body, Record and Series one is given by one who does it right.
type Observation struct {
	ID         int64
	Body       *string
	Record     *string // JSON
	Series     []*float64
	ObservedAt *time.Time
	SessionKey string
	Key        *string
	ReceivedAt time.Time
	Given      int    // how many of the three were given
	Fault      string // what the database could tell without reading it: too_large, not_an_object, not_a_list, bad_time; or ""
}

// ObservationMatch is which pattern an observation is.
type ObservationMatch struct {
	ObservationID int64
	LibraryID     uuid.UUID
	SessionKey    string
	Key           *string
	Verdict       string // known, new or unknown
	Pattern       string // "" for unknown
	Version       int    // of the recogniser; 0 is that of the pattern
	Confidence    float64
	Slots         []string
	ObservedAt    time.Time
}

// ObservationFault is why an observation is quarantined.
type ObservationFault struct {
	Observation Observation
	Code        string
	Reason      string
}

// The bounds of what is claimed.
const (
	batchRows       = 1000
	batchBytes      = 4 << 20
	openPerLibrary  = 2
	openInWorkspace = 8
)

// claimLock lets one process claim at a time.
const claimLock = 0x7461_7274_616e_0b5e

// ClaimObservations makes batches of what waits, at most one a library, where not too many are open. None is returned also while another process claims.
func ClaimObservations(ctx context.Context, tx pgx.Tx) (claimed []ObservationBatch, err error) {
	var mine bool
	if err := tx.QueryRow(ctx, `select pg_try_advisory_xact_lock($1)`, int64(claimLock)).Scan(&mine); err != nil || !mine {
		return nil, known(err)
	}
	// The libraries are found by skipping from one to the next in the index, whatever waits.
	rows, _ := tx.Query(ctx, `
		with recursive lanes as (
			(select workspace_id, library from tartan.observations where state = 'waiting' order by workspace_id, library limit 1)
			union all
			select n.workspace_id, n.library from lanes l cross join lateral (
				select o.workspace_id, o.library from tartan.observations o
				where o.state = 'waiting' and (o.workspace_id, o.library) > (l.workspace_id, l.library) order by o.workspace_id, o.library limit 1) n
		)
		select l.workspace_id, l.library, $2 - (select count(*) from tartan.observation_batches b where b.closed_at is null and b.workspace_id = l.workspace_id)
		from lanes l
		where (select count(*) from tartan.observation_batches b where b.closed_at is null and b.workspace_id = l.workspace_id and b.library = l.library) < $1
		order by random()`, openPerLibrary, openInWorkspace)
	type lane struct {
		Workspace uuid.UUID
		Library   string
		Room      int64
	}
	lanes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[lane])
	if err != nil {
		return nil, fmt.Errorf("look for observations that wait: %w", known(err))
	}
	taken := map[uuid.UUID]int64{}
	for _, l := range lanes {
		if taken[l.Workspace] >= l.Room {
			continue
		}
		b, err := one(ctx, tx, pgx.RowToStructByPos[ObservationBatch], `
			with waiting as (
				select id, sum(least(coalesce(octet_length(body), 0), $4) + least(coalesce(pg_column_size(record), 0), $5) + 8 * least(coalesce(cardinality(series), 0), $6))
					over (order by id) as bytes
				from (select * from tartan.observations where workspace_id = $1 and library = $2 and state = 'waiting' order by id limit $3 for no key update skip locked) o
			), batch as (
				select gen_random_uuid() as id
			), claimed as (
				update tartan.observations o set state = 'claimed', batch_id = batch.id from batch, waiting w
				where o.workspace_id = $1 and o.id = w.id and (w.bytes <= $7 or w.id = (select min(id) from waiting))
				returning o.id, o.batch_id
			)
			insert into tartan.observation_batches (workspace_id, id, library, first_id, last_id, observations)
			select $1, batch_id, $2, min(id), max(id), count(*) from claimed group by batch_id
			returning `+batchColumns, l.Workspace, l.Library, batchRows, MaxObservedText, MaxObservedRecord, MaxObservedSeries, int64(batchBytes))
		if errors.Is(err, ErrNotFound) {
			continue // others hold them
		}
		if err != nil {
			return nil, fmt.Errorf("claim observations of library %s: %w", l.Library, err)
		}
		taken[l.Workspace]++
		claimed = append(claimed, b)
	}
	return claimed, nil
}

// OpenBatches returns batches that have been open for so long, the oldest first.
func OpenBatches(ctx context.Context, q Querier, since time.Duration, limit int) ([]ObservationBatch, error) {
	rows, _ := q.Query(ctx, `select `+batchColumns+` from tartan.observation_batches
		where closed_at is null and created_at < now() - make_interval(secs => $1) order by created_at, id limit $2`, since.Seconds(), limit)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ObservationBatch])
	if err != nil {
		return nil, fmt.Errorf("list open batches: %w", known(err))
	}
	return found, nil
}

// ClaimedObservations returns those observations of a batch, with ids in a range, that are not yet matched or quarantined.
func ClaimedObservations(ctx context.Context, q Querier, b ObservationBatch) ([]Observation, error) {
	rows, _ := q.Query(ctx, `
		select id, case when octet_length(body) <= $5 then body end,
			case when pg_column_size(record) <= $6 and octet_length(record::text) <= $6 and jsonb_typeof(record) = 'object' then record::text end,
			case when array_ndims(series) = 1 and cardinality(series) <= $7 then series end,
			case when observed_at between '1970-01-01Z' and '2200-01-01Z' then observed_at end, session_key, key, received_at, num_nonnulls(body, record, series),
			case when octet_length(body) > $5 or pg_column_size(record) > $6 or cardinality(series) > $7 then 'too_large'
				when record is not null and octet_length(record::text) > $6 then 'too_large'
				when jsonb_typeof(record) <> 'object' then 'not_an_object'
				when series is not null and array_ndims(series) is distinct from 1 then 'not_a_list'
				when observed_at not between '1970-01-01Z' and '2200-01-01Z' then 'bad_time' else '' end
		from tartan.observations where workspace_id = $1 and batch_id = $2 and state = 'claimed' and id between $3 and $4 order by id`,
		b.WorkspaceID, b.ID, b.First, b.Last, MaxObservedText, MaxObservedRecord, MaxObservedSeries)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Observation])
	if err != nil {
		return nil, fmt.Errorf("read the observations of batch %s: %w", b.ID, known(err))
	}
	return found, nil
}

// ErrBatchChanged says that a batch is not what was read of it any more: read it again.
var ErrBatchChanged = errors.New("the observations of the batch have changed")

// LockBatch keeps others from finishing observations of the batch until the transaction ends, and returns it as it stands. Where those of the range
// that are not finished are not the ones expected, the error is ErrBatchChanged.
func LockBatch(ctx context.Context, tx pgx.Tx, b ObservationBatch, expected []Observation) (ObservationBatch, error) {
	locked, err := one(ctx, tx, pgx.RowToStructByPos[ObservationBatch], `select `+batchColumns+` from tartan.observation_batches where workspace_id = $1 and id = $2 for update`, b.WorkspaceID, b.ID)
	if err != nil {
		return locked, fmt.Errorf("lock batch %s: %w", b.ID, err)
	}
	rows, _ := tx.Query(ctx, `select id from tartan.observations where workspace_id = $1 and batch_id = $2 and state = 'claimed' and id between $3 and $4
		order by id for no key update`, b.WorkspaceID, b.ID, b.First, b.Last)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return locked, fmt.Errorf("lock batch %s: %w", b.ID, known(err))
	}
	same := len(ids) == len(expected)
	for i := 0; same && i < len(ids); i++ {
		same = ids[i] == expected[i].ID
	}
	if !same {
		return locked, fmt.Errorf("batch %s: %w", b.ID, ErrBatchChanged)
	}
	return locked, nil
}

// Counted says in which library matches were counted, if in any, and how many patterns that did not have before.
type Counted struct {
	Library     uuid.UUID
	NewPatterns int
}

// FinishObservations writes what became of observations that LockBatch locked, adds it to the batch, closes that when nothing is left of it,
// and returns it.
func FinishObservations(ctx context.Context, tx pgx.Tx, b ObservationBatch, workflowID string, matches []ObservationMatch, faults []ObservationFault, counted Counted) (ObservationBatch, error) {
	err := insertMatches(ctx, tx, b, workflowID, matches)
	if err == nil {
		err = insertFaults(ctx, tx, b, workflowID, faults)
	}
	if err != nil {
		return b, fmt.Errorf("finish observations of batch %s: %w", b.ID, known(err))
	}
	out, err := one(ctx, tx, pgx.RowToStructByPos[ObservationBatch], `
		update tartan.observation_batches b set matched = matched + $3, quarantined = quarantined + $4, new_patterns = new_patterns + $5,
			counted_in = coalesce(nullif($6::uuid, `+zeroUUID+`), counted_in),
			closed_at = case when exists (select from tartan.observations o where o.batch_id = b.id and o.state = 'claimed') then null else coalesce(closed_at, clock_timestamp()) end
		where workspace_id = $1 and id = $2 returning `+batchColumns, b.WorkspaceID, b.ID, len(matches), len(faults), counted.NewPatterns, counted.Library)
	if err == nil && out.ClosedAt != nil {
		_, err = tx.Exec(ctx, `select pg_notify('`+ObserveChannel+`', '')`) // there is room for another
	}
	if err != nil {
		return out, fmt.Errorf("finish batch %s: %w", b.ID, known(err))
	}
	return out, nil
}

func insertMatches(ctx context.Context, tx pgx.Tx, b ObservationBatch, workflowID string, matches []ObservationMatch) error {
	n := len(matches)
	if n == 0 {
		return nil
	}
	ids, sessions, keys, verdicts, patterns := make([]int64, n), make([]string, n), make([]*string, n), make([]string, n), make([]string, n)
	versions, confidences, slots, at := make([]int, n), make([]float64, n), make([]string, n), make([]time.Time, n)
	for i, m := range matches {
		values := make([]string, len(m.Slots))
		for k, v := range m.Slots {
			values[k] = stored(v)
		}
		body, err := json.Marshal(values)
		if err != nil {
			return err
		}
		ids[i], sessions[i], keys[i], verdicts[i], patterns[i] = m.ObservationID, m.SessionKey, m.Key, m.Verdict, m.Pattern
		versions[i], confidences[i], slots[i], at[i] = m.Version, m.Confidence, string(body), m.ObservedAt
	}
	tag, err := tx.Exec(ctx, `
		insert into tartan.observation_matches (workspace_id, observation_id, library_id, library, session_key, key, verdict, pattern_id, pattern_version, confidence, slots, observed_at, workflow_id)
		select $1, u.id, $2, $3, u.session, u.key, u.verdict, nullif(u.pattern, ''),
			case when u.pattern = '' then null when u.version > 0 then u.version else (select p.version from tartan.patterns p where p.library_id = $2 and p.id = u.pattern) end,
			u.confidence, u.slots::jsonb, u.at, $4
		from unnest($5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[], $10::int[], $11::float8[], $12::text[], $13::timestamptz[])
			u (id, session, key, verdict, pattern, version, confidence, slots, at)`,
		b.WorkspaceID, matches[0].LibraryID, b.Library, workflowID, ids, sessions, keys, verdicts, patterns, versions, confidences, slots, at)
	if err == nil && tag.RowsAffected() != int64(n) {
		err = ErrBatchChanged
	}
	if err != nil {
		return err
	}
	return setState(ctx, tx, b, ids, "matched")
}

func insertFaults(ctx context.Context, tx pgx.Tx, b ObservationBatch, workflowID string, faults []ObservationFault) error {
	n := len(faults)
	if n == 0 {
		return nil
	}
	ids, sessions, keys, codes, reasons := make([]int64, n), make([]string, n), make([]*string, n), make([]string, n), make([]string, n)
	for i, f := range faults {
		ids[i], sessions[i], keys[i], codes[i], reasons[i] = f.Observation.ID, f.Observation.SessionKey, f.Observation.Key, f.Code, stored(f.Reason)
	}
	_, err := tx.Exec(ctx, `
		insert into tartan.observation_quarantine (workspace_id, observation_id, library, session_key, key, code, reason, workflow_id)
		select $1, u.id, $2, u.session, u.key, u.code, u.reason, $3
		from unnest($4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[]) u (id, session, key, code, reason)`,
		b.WorkspaceID, b.Library, workflowID, ids, sessions, keys, codes, reasons)
	if err != nil {
		return err
	}
	return setState(ctx, tx, b, ids, "quarantined")
}

func setState(ctx context.Context, tx pgx.Tx, b ObservationBatch, ids []int64, state string) error {
	tag, err := tx.Exec(ctx, `update tartan.observations set state = $4 where workspace_id = $1 and batch_id = $2 and id = any ($3) and state = 'claimed'`, b.WorkspaceID, b.ID, ids, state)
	if err == nil && tag.RowsAffected() != int64(len(ids)) {
		err = ErrBatchChanged
	}
	return err
}
