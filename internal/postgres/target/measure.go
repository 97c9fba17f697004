package target

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/migration"
)

const (
	measuredRuns = 9                // of a query at most
	measuredTime = 20 * time.Second // that a query may take in all its runs, but for the first
)

// Measure runs each query some times in a transaction that only reads, and returns the median of how long it took with its plan. A
// first run, which fills caches, does not count.
func (t *Target) Measure(ctx context.Context, queries []migration.NamedSQL) (out []migration.Timing, err error) {
	conn, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, q := range queries {
		var m migration.Timing
		err := pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) (err error) {
			if _, err = tx.Exec(ctx, "set local statement_timeout = '1min'"); err != nil {
				return err
			}
			m, err = measure(ctx, tx, q)
			return err
		})
		if err != nil {
			return nil, t.masked(&StepError{Step: q.Name, Statement: migration.Statement{File: q.SQL.File, Line: q.SQL.Line}, Err: err})
		}
		out = append(out, m)
	}
	return out, nil
}

func measure(ctx context.Context, tx pgx.Tx, q migration.NamedSQL) (m migration.Timing, err error) {
	m.Name = q.Name
	var plan []struct{ Plan node }
	var text []byte
	if err := tx.QueryRow(ctx, "explain (format json, costs off) "+q.SQL.SQL).Scan(&text); err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &plan); err != nil || len(plan) == 0 {
		return m, fmt.Errorf("read the plan: %w", err)
	}
	m.Shape = plan[0].Plan.String()
	var took []float64
	for began := time.Now(); len(took) <= measuredRuns && (len(took) < 2 || time.Since(began) < measuredTime); {
		start := time.Now()
		if _, err := tx.Exec(ctx, q.SQL.SQL); err != nil {
			return m, err
		}
		took = append(took, float64(time.Since(start).Microseconds())/1000)
	}
	took = took[1:]
	slices.Sort(took)
	m.Runs, m.MS = len(took), took[len(took)/2]
	return m, nil
}

// node is a node of a plan.
type node struct {
	Type     string `json:"Node Type"`
	Relation string `json:"Relation Name"`
	Index    string `json:"Index Name"`
	Plans    []node `json:"Plans"`
}

// String writes the tree on one line: Nested Loop(Seq Scan orders, Index Scan customers_pkey).
func (n node) String() string {
	s := n.Type
	if name := orDefault(n.Index, n.Relation); name != "" {
		s += " " + name
	}
	if len(n.Plans) == 0 {
		return s
	}
	below := make([]string, len(n.Plans))
	for i, p := range n.Plans {
		below[i] = p.String()
	}
	return s + "(" + strings.Join(below, ", ") + ")"
}
