// Package migration holds what a migration of a user's own database is: its plan, what is dangerous in it, the order in which
// its steps are applied and undone, and how their outcome is judged. It does no I/O: SQL and files are read for it.
package migration

import "time"

// Plan is a migration as its author wrote it: the order of the steps is the order in which they are applied.
type Plan struct {
	Name     string   `json:"name"`
	Format   Format   `json:"format"`
	Settings Settings `json:"settings"`
	Steps    []Step   `json:"steps"`
	SHA256   string   `json:"sha256"` // over the files as read, in order; a plan that changed after it started is refused
}

// Format says how the plan was written.
type Format string

// The formats that are read.
const (
	FormatTartan        Format = "tartan"
	FormatGoose         Format = "goose"
	FormatGolangMigrate Format = "golang-migrate"
	FormatSupabase      Format = "supabase"
	FormatFlyway        Format = "flyway"
	FormatSQL           Format = "sql" // plain files, which no tool has marked: a step each, without a way back
)

// Settings hold for a whole plan. A zero value means the default named here.
type Settings struct {
	LockTimeout      time.Duration `json:"lock_timeout,omitempty"`      // how long a statement waits for a lock before it gives way; 1 s
	LockAttempts     int           `json:"lock_attempts,omitempty"`     // how often it is tried again, with jitter; 30
	StatementTimeout time.Duration `json:"statement_timeout,omitempty"` // of one statement inside a transaction; 1 min
	Approval         bool          `json:"approval,omitempty"`          // a person approves after verification, before the soak
	ApprovalTimeout  time.Duration `json:"approval_timeout,omitempty"`  // no answer within it rolls back; 7 days
	Soak             time.Duration `json:"soak,omitempty"`              // how long the expanded state is watched before contract steps
	MaxErrorRate     float64       `json:"max_error_rate,omitempty"`    // rolled-back share of transactions in the soak that rolls back; 0 is not watched
	MaxActive        time.Duration `json:"max_active,omitempty"`        // mean time that a transaction of the database is active in the soak that rolls back; 0 is not watched
	Retention        time.Duration `json:"retention,omitempty"`         // how long the archive is kept after completion; 30 days
	MaxSlowdown      float64       `json:"max_slowdown,omitempty"`      // of a reference query after, and in the soak, against before, as a factor; 1.5
	MaxRejected      int64         `json:"max_rejected,omitempty"`      // rows a copy may put into quarantine before it fails; 0 is none
	Queries          []NamedSQL    `json:"queries,omitempty"`           // reference queries of the performance check
	Checks           []NamedSQL    `json:"checks,omitempty"`            // assertions that must hold before the first step
}

// NamedSQL is one statement with a name for people.
type NamedSQL struct {
	Name string    `json:"name"`
	SQL  Statement `json:"sql"`
}

// Statement is one SQL statement and where it stands.
type Statement struct {
	SQL  string `json:"sql"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"` // from 1
}

// Kind is what a step does.
type Kind string

// The kinds of steps.
const (
	KindSQL       Kind = "sql"        // statements, in one transaction with the ledger row unless NoTransaction
	KindBackfill  Kind = "backfill"   // an UPDATE, in batches by primary key
	KindCopy      Kind = "copy"       // rows from another Postgres or from a file
	KindIndex     Kind = "index"      // CREATE INDEX CONCURRENTLY, made again where it was left INVALID
	KindValidate  Kind = "validate"   // ALTER TABLE ... VALIDATE CONSTRAINT
	KindDualWrite Kind = "dual write" // a trigger that keeps two columns or tables alike
	KindSwitch    Kind = "switch"     // renames that let readers change over, in one transaction
	KindDrop      Kind = "drop"       // contract: columns or tables that go, always last, always from a snapshot
)

// Contract reports whether the step runs only after approval and soak.
func (k Kind) Contract() bool { return k == KindDrop }

// Step is one entry of the ledger. Exactly the field that belongs to Kind is set beside Up and Down.
type Step struct {
	Name          string      `json:"name"`
	Kind          Kind        `json:"kind"`
	Up            []Statement `json:"up,omitempty"`
	Down          []Statement `json:"down,omitempty"`   // none: undone from the snapshot where the kind allows it, else irreversible
	Verify        []Statement `json:"verify,omitempty"` // each returns one row whose columns are all true, or no rows
	NoTransaction bool        `json:"no_transaction,omitempty"`
	Irreversible  bool        `json:"irreversible,omitempty"` // the author takes it that the step cannot be undone exactly
	Backfill      *Backfill   `json:"backfill,omitempty"`
	Copy          *Copy       `json:"copy,omitempty"`
	Index         *Index      `json:"index,omitempty"`
	Validate      *Validate   `json:"validate,omitempty"`
	DualWrite     *DualWrite  `json:"dual_write,omitempty"`
	Drop          *Drop       `json:"drop,omitempty"`
	Destroys      []Drop      `json:"destroys,omitempty"` // tables and columns whose rows other statements of Up destroy or rewrite; they go into the archive first
}

// Backfill rewrites rows in batches. The one statement of Up is an UPDATE with the word :batch in its WHERE, which stands for
// the range of keys of one batch. The earlier values of Columns go into the archive in the transaction that overwrites them.
type Backfill struct {
	Table   string        `json:"table"`             // schema-qualified, or found by the search path
	Alias   string        `json:"alias,omitempty"`   // what the UPDATE calls the table; empty is its name
	Key     []string      `json:"key,omitempty"`     // empty: the primary key
	Columns []string      `json:"columns"`           // that the UPDATE sets
	Rows    int           `json:"rows,omitempty"`    // of a batch; 0 adapts to about half a second
	Pause   time.Duration `json:"pause,omitempty"`   // between batches
	PerSec  int           `json:"per_sec,omitempty"` // rows per second at most; 0 is unthrottled
}

// Copy brings rows in. Source is the name of a target, or an object or file with a format.
type Copy struct {
	From    string            `json:"from"`              // target:NAME, or a path, or an object key
	Format  string            `json:"format"`            // postgres, csv, jsonl, parquet
	Source  string            `json:"source,omitempty"`  // table or query in the other Postgres
	Table   string            `json:"table"`             // into this one
	Columns map[string]string `json:"columns,omitempty"` // column here -> column or field there; empty: same names
	Key     []string          `json:"key,omitempty"`     // of the source, for batches and resuming; empty: its primary key, or the line number
	Rows    int               `json:"rows,omitempty"`    // of a batch; 0 is as many as 4 MiB hold
	Options map[string]string `json:"options,omitempty"` // csv: delimiter, header, null, quote
}

// Index names an index that is made concurrently. The statement of Up is the CREATE INDEX.
type Index struct {
	Name  string `json:"name"`
	Table string `json:"table"`
}

// Validate names a constraint that was added NOT VALID.
type Validate struct {
	Table      string `json:"table"`
	Constraint string `json:"constraint"`
}

// DualWrite names the trigger and the function that Up makes.
type DualWrite struct {
	Table   string `json:"table"`
	Trigger string `json:"trigger"`
}

// Drop names what goes. What it names is copied to the archive first, and comes back from there.
type Drop struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns,omitempty"` // none: the table
	// IfExists: the statement passes where there is no such table, and so must the archive.
	IfExists bool `json:"if_exists,omitempty"`
}
