package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/routing"
)

// SaveDecision records a decision with the request's task, pattern and features, once: a decision that is there already
// stays as it was.
func SaveDecision(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, req *routing.Request, d *routing.Decision) error {
	features, err := req.Features.MarshalBinary()
	if err != nil {
		return err
	}
	body, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode decision %s: %w", d.ID, err)
	}
	_, err = tx.Exec(ctx, `
		insert into tartan.model_decisions (workspace_id, id, task, pattern, features, decision, created_at)
		values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing`,
		workspace, d.ID, stored(req.Task), stored(req.Pattern), features, stored(string(body)), d.At)
	if err != nil {
		return fmt.Errorf("save decision %s: %w", d.ID, known(err))
	}
	return nil
}

// DecisionByID returns a recorded decision, or ErrNotFound.
func DecisionByID(ctx context.Context, q Querier, workspace uuid.UUID, id string) (routing.Decision, error) {
	d, err := one(ctx, q, func(row pgx.CollectableRow) (d routing.Decision, err error) {
		var body []byte
		if err = row.Scan(&body); err == nil {
			err = json.Unmarshal(body, &d)
		}
		return d, err
	}, `select decision from tartan.model_decisions where workspace_id = $1 and id = $2`, workspace, id)
	if err != nil {
		return d, fmt.Errorf("decision %s: %w", id, err)
	}
	return d, nil
}

// AddOutcome records how a call went, with its outbox event. It says false where the same source has told of this model and
// decision before, and is ErrNotFound where there is no such decision. Task, pattern and features are those of the decision.
func AddOutcome(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, o *routing.Outcome) (fresh bool, err error) {
	var quality *float64
	if o.Judged {
		quality = &o.Quality
	}
	var found bool
	err = tx.QueryRow(ctx, `
		with decision as (select id from tartan.model_decisions where workspace_id = $1 and id = $2),
		added as (
			insert into tartan.model_outcomes (workspace_id, decision_id, model, source, quality, class, cost, latency_us, first_token_us)
			select $1, id, $3, $4, $5::float8, $6, $7::bigint, $8::bigint, $9::bigint from decision
			on conflict on constraint model_outcomes_once do nothing returning id)
		select exists (select from decision), exists (select from added)`,
		workspace, o.Decision, o.Model, o.Source, quality, string(o.Class), o.Cost, o.Latency.Microseconds(), o.FirstToken.Microseconds()).Scan(&found, &fresh)
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return false, fmt.Errorf("add the outcome of decision %s: %w", o.Decision, known(err))
	}
	if !fresh {
		return false, nil
	}
	return true, AppendOutbox(ctx, tx, workspace, TopicModel, workspace.String(), ModelsChange{Outcome: true})
}

// RecordOutcome is AddOutcome for a decision that may not be recorded: what the outcome says of it then is.
func RecordOutcome(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, o *routing.Outcome) (fresh bool, err error) {
	req := routing.Request{Task: o.Task, Pattern: o.Pattern, Features: o.Features}
	if err := SaveDecision(ctx, tx, workspace, &req, &routing.Decision{ID: o.Decision, At: o.At, Ranked: []routing.Choice{{Model: o.Model}}}); err != nil {
		return false, err
	}
	return AddOutcome(ctx, tx, workspace, o)
}

// OutcomesAfter returns outcomes after a position in order, and the position of the last one. It stops below the oldest
// transaction still running, as ReadOutbox does, so that every reader sees the same order.
func OutcomesAfter(ctx context.Context, q Querier, workspace uuid.UUID, after Position, limit int) ([]routing.Outcome, Position, error) {
	rows, _ := q.Query(ctx, `
		select o.xid, o.id, o.decision_id, o.model, o.source, o.quality, o.class, o.cost, o.latency_us, o.first_token_us, o.created_at, d.task, d.pattern, d.features
		from tartan.model_outcomes o join tartan.model_decisions d on d.workspace_id = o.workspace_id and d.id = o.decision_id
		where o.workspace_id = $1 and (o.xid, o.id) > ($2::text::xid8, $3) and o.xid < pg_snapshot_xmin(pg_current_snapshot())
		order by o.xid, o.id limit $4`, workspace, fmt.Sprint(after.XID), after.ID, limit)
	outcomes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o routing.Outcome, err error) {
		var quality *float64
		var latency, first int64
		var features []byte
		err = row.Scan(&after.XID, &after.ID, &o.Decision, &o.Model, &o.Source, &quality, &o.Class, &o.Cost, &latency, &first, &o.At, &o.Task, &o.Pattern, &features)
		if err == nil {
			err = o.Features.UnmarshalBinary(features)
		}
		if quality != nil {
			o.Quality, o.Judged = *quality, true
		}
		o.Task, o.Pattern = plain(o.Task), plain(o.Pattern)
		o.Latency, o.FirstToken = time.Duration(latency)*time.Microsecond, time.Duration(first)*time.Microsecond
		return o, err
	})
	if err != nil {
		return nil, after, fmt.Errorf("read outcomes: %w", known(err))
	}
	return outcomes, after, nil
}

// Learned returns the saved learner of a workspace and the position up to which it has learned; nothing where there is none.
func Learned(ctx context.Context, q Querier, workspace uuid.UUID) (state []byte, at Position, err error) {
	err = q.QueryRow(ctx, `select xid, id, state from tartan.model_learned where workspace_id = $1`, workspace).Scan(&at.XID, &at.ID, &state)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, Position{}, nil
	}
	if err != nil {
		return nil, Position{}, fmt.Errorf("read what was learned: %w", known(err))
	}
	return state, at, nil
}

// SaveLearned saves a learner, unless one that has learned more is there. It is for the service role.
func SaveLearned(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, state []byte, outcomes int, at Position) error {
	_, err := tx.Exec(ctx, `
		insert into tartan.model_learned as old (workspace_id, xid, id, outcomes, state) values ($1, $2::text::xid8, $3, $4, $5)
		on conflict (workspace_id) do update set xid = excluded.xid, id = excluded.id, outcomes = excluded.outcomes, state = excluded.state, updated_at = now()
		where (old.xid, old.id) < (excluded.xid, excluded.id)`, workspace, fmt.Sprint(at.XID), at.ID, outcomes, state)
	if err != nil {
		return fmt.Errorf("save what was learned: %w", known(err))
	}
	return nil
}

// ModelStats is how one model did for one task.
type ModelStats struct {
	Model    string
	Task     string
	Calls    int64 // outcomes, judged or not
	Judged   int64
	Quality  float64 // mean of those judged
	Failures int64
	Cost     routing.Money // sum
	Latency  time.Duration // mean of answers that were timed
}

// StatsOfModels sums up the outcomes since a time, by model and task.
func StatsOfModels(ctx context.Context, q Querier, workspace uuid.UUID, since time.Time) ([]ModelStats, error) {
	rows, _ := q.Query(ctx, `
		select o.model, d.task, count(*), count(o.quality), coalesce(avg(o.quality), 0), count(*) filter (where o.class <> ''), sum(o.cost)::bigint,
			coalesce(avg(o.latency_us) filter (where o.latency_us > 0 and o.class = ''), 0)::bigint
		from tartan.model_outcomes o join tartan.model_decisions d on d.workspace_id = o.workspace_id and d.id = o.decision_id
		where o.workspace_id = $1 and o.created_at >= $2
		group by 1, 2 order by 1, 2`, workspace, since)
	stats, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s ModelStats, err error) {
		var latency int64
		err = row.Scan(&s.Model, &s.Task, &s.Calls, &s.Judged, &s.Quality, &s.Failures, &s.Cost, &latency)
		s.Task, s.Latency = plain(s.Task), time.Duration(latency)*time.Microsecond
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("sum up outcomes: %w", known(err))
	}
	return stats, nil
}
