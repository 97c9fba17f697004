package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/edit"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/mcp/tools/jsonrpc"
	"github.com/tartan-ai/tartan/workflows"
)

// waitForEdit bounds the wait for an edit, which takes milliseconds unless the worker is away.
const waitForEdit = 8 * time.Second

type editArgs struct {
	Action   string   `json:"action" required:"true" enum:"define|merge|split|pin|unpin|undo|use" note:"define makes a pattern of your own from template; merge makes patterns one; split tells lines apart by the words or values of a slot; pin freezes a mined pattern; undo takes an edit back, an undo too; use lets a version of a series recogniser answer"`
	Patterns wordList `json:"patterns" note:"Ids: one for split, pin and unpin; two or more for merge"`
	Template string   `json:"template" max:"2048" doc:"a <b>" note:"For define: text with slots, <*> or <name> for one word or more, <name:type> for one of that type; for merge what it makes, as text or the id of a pattern to merge into"`
	Slot     string   `json:"slot" note:"For split"`
	Words    wordList `json:"words" note:"For split: what to split off; all words that were seen if none are given. Values such as 500 count from the edit on"`
	Edit     int      `json:"edit" min:"1" max:"9007199254740991" note:"For undo: its number, from list_edits; for use: the version"`
	editCommon
}

// editCommon is what all edits take.
type editCommon struct {
	Library string `json:"library" default:"default"`
	Reason  string `json:"reason" note:"Why; kept in the history"`
	Key     string `json:"key" max:"100" note:"Idempotency key: edits under the same key are made once"`
}

type describeArgs struct {
	Pattern     string       `json:"pattern" required:"true" doc:"Id"`
	Name        optionalText `json:"name" note:"Empty takes it away, like all that follow"`
	Description optionalText `json:"description"`
	Tags        wordList     `json:"tags" note:"All of them; an empty array takes them away"`
	Owner       optionalText `json:"owner"`
	Severity    optionalText `json:"severity" note:"debug, info, warning, error or critical"`
	Ignored     optionalBool `json:"ignored" note:"Leave it out of lists and comparisons; it is still counted and recognised"`
	editCommon
}

type edited struct {
	WorkflowID string                    `json:"workflow_id"`
	State      string                    `json:"state"` // completed, or running where the wait was over first
	Number     int64                     `json:"number,omitempty"`
	Revision   int64                     `json:"revision,omitempty"` // of the library
	Patterns   []workflows.EditedPattern `json:"patterns,omitempty"` // what came of it
	Undo       string                    `json:"undo,omitempty"`
	Existed    bool                      `json:"existed,omitempty"` // made before under this key
}

func (s *Suite) editPattern() Tool {
	return define[editArgs, edited](Tool{
		Name: "edit_pattern", Title: "Edit patterns", Role: editor, Destructive: true,
		Description: "Change patterns.",
	}, func(ctx context.Context, c Call, in editArgs) (edited, string, error) {
		e := edit.Edit{Action: in.Action, Patterns: in.Patterns.ids(), Template: in.Template, Slot: in.Slot, Words: in.Words.list, Undo: int64(in.Edit)}
		if in.Action == edit.Use {
			e.Undo, e.Version = 0, in.Edit
		}
		out, err := s.edit(ctx, c, in.editCommon, e)
		return out, out.text(), err
	})
}

func (s *Suite) describePattern() Tool {
	return define[describeArgs, edited](Tool{
		Name: "describe_pattern", Title: "Describe a pattern", Role: editor,
		Description: "Say what a pattern means.",
	}, func(ctx context.Context, c Call, in describeArgs) (edited, string, error) {
		note := edit.Note{Name: in.Name.text, Description: in.Description.text, Owner: in.Owner.text, Severity: in.Severity.text}
		if in.Tags.given {
			note.Tags = &in.Tags.list
		}
		e := edit.Edit{Action: edit.Describe, Patterns: []pattern.ID{pattern.ID(in.Pattern)}, Note: note}
		ignore := edit.Edit{Action: edit.Unignore, Patterns: e.Patterns}
		if in.Ignored.value != nil && *in.Ignored.value {
			ignore.Action = edit.Ignore
		}
		edits := []edit.Edit{e}
		switch {
		case in.Ignored.value != nil && note.Empty():
			edits = []edit.Edit{ignore}
		case in.Ignored.value != nil:
			edits = append(edits, ignore)
		}
		out, err := s.edit(ctx, c, in.editCommon, edits...)
		return out, out.text(), err
	})
}

// edit starts the workflow that makes the edits, and waits for its result.
func (s *Suite) edit(ctx context.Context, c Call, in editCommon, edits ...edit.Edit) (edited, error) {
	temporal, err := s.durable()
	if err != nil {
		return edited{}, err
	}
	if edits[0].Action != edit.Define {
		if _, err := s.libraryID(ctx, c, in.Library); err != nil {
			return edited{}, err
		}
	}
	id, existed, err := workflows.StartEdit(ctx, temporal, workflows.EditLibraryInput{
		Caller: c.Caller, Library: in.Library, Edits: edits, Reason: in.Reason,
	}, in.Key)
	if errors.Is(err, workflows.ErrTooMuch) {
		return edited{}, invalid("this is too much for one edit; give fewer words or patterns")
	}
	if err != nil {
		return edited{}, explainWorkflow(err, "")
	}
	made, failed, err := workflows.EditResult(ctx, temporal, id, waitForEdit)
	switch {
	case err != nil:
		return edited{}, explainWorkflow(err, id)
	case failed != nil:
		return edited{}, explainFailure(failed)
	case made == nil:
		return edited{WorkflowID: id, State: postgres.RunRunning, Existed: existed}, nil
	}
	out := edited{WorkflowID: id, State: postgres.RunCompleted, Revision: made.Revision, Existed: existed || made.Already}
	for _, e := range made.Edits {
		out.Number = e.Number
		for _, p := range e.Patterns {
			if !slices.ContainsFunc(out.Patterns, func(o workflows.EditedPattern) bool { return o.ID == p.ID }) && len(out.Patterns) < 20 {
				p.Template = cut(p.Template, maxExample)
				out.Patterns = append(out.Patterns, p)
			}
		}
	}
	out.Undo = fmt.Sprintf("edit_pattern with action undo and edit %d", out.Number)
	return out, nil
}

// explainFailure tells a client why its edit was refused.
func explainFailure(f *workflows.Failure) error {
	message := cut(strings.Join(strings.Fields(f.Message), " "), 900)
	switch {
	case f.Denied():
		return &Error{Kind: Denied, Message: message}
	case !f.Decided():
		return unavailable("", "%s", message)
	}
	return invalid("%s", message)
}

func (e edited) text() string {
	if e.State != postgres.RunCompleted {
		return fmt.Sprintf("%s goes on; get_workflow follows it", e.WorkflowID)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "edit %d made, library at revision %d", e.Number, e.Revision)
	for _, p := range e.Patterns[:min(len(e.Patterns), 5)] {
		fmt.Fprintf(&b, "\n%s %8d  %s", p.ID, p.Lines, cut(p.Template, 100))
		if !p.CountedSince.IsZero() {
			fmt.Fprintf(&b, " (counts lines read since %s)", stamp(p.CountedSince))
		}
	}
	return b.String()
}

type listEditsArgs struct {
	Library string `json:"library" default:"default"`
	Pattern string `json:"pattern" doc:"Only edits about this id"`
	Before  int    `json:"before" min:"0" max:"9007199254740991" doc:"next of last page"`
	Limit   int    `json:"limit" min:"1" max:"200" default:"20"`
}

type editList struct {
	Library string     `json:"library"`
	Edits   []editView `json:"edits"` // the latest first
	Next    int64      `json:"next,omitempty"`
}

type editView struct {
	Number   int64        `json:"number"`
	Action   string       `json:"action"`
	Patterns []pattern.ID `json:"patterns"`
	Detail   string       `json:"detail,omitempty"` // template, slot and words, or what was said
	At       string       `json:"at"`
	By       string       `json:"by"` // user id
	Reason   string       `json:"reason,omitempty"`
	Undoes   int64        `json:"undoes,omitempty"`
	Undone   bool         `json:"undone,omitempty"`
	Undoable bool         `json:"undoable,omitempty"`
	Workflow string       `json:"workflow"`
}

func (s *Suite) listEdits() Tool {
	return define[listEditsArgs, editList](Tool{
		Name: "list_edits", Title: "List edits", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "History of edits of a library or pattern: who, when, why, undoable.",
	}, func(ctx context.Context, c Call, in listEditsArgs) (editList, string, error) {
		out := editList{Library: in.Library, Edits: []editView{}}
		err := s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
			lib, err := s.libraryByName(ctx, tx, c, in.Library)
			if err != nil {
				return err
			}
			rows, next, err := postgres.ListedEdits(ctx, tx, postgres.ListEdits{Library: lib.ID, Pattern: pattern.ID(in.Pattern), Before: int64(in.Before), Limit: in.Limit})
			if errors.Is(err, postgres.ErrNotFound) {
				return notFound("Find its id with list_patterns", "no pattern %s in library %s", short(in.Pattern), short(in.Library))
			}
			for _, r := range rows {
				out.Edits = append(out.Edits, viewOf(r))
			}
			out.Next = next
			return err
		})
		return out, out.text(), err
	})
}

func viewOf(r postgres.EditRow) editView {
	subjects := r.Subjects[:min(len(r.Subjects), 10)]
	for _, rule := range r.Rules[:min(len(r.Rules), 10)] {
		if !slices.Contains(subjects, rule.Target.ID) {
			subjects = append(slices.Clone(subjects), rule.Target.ID)
		}
	}
	if subjects == nil {
		subjects = []pattern.ID{}
	}
	return editView{
		Number: r.Number, Action: r.Edit.Action, Patterns: subjects, Detail: cut(r.Edit.Detail(), maxExample), At: stamp(r.At), By: r.Author.String(),
		Reason: cut(r.Reason, maxValue), Undoes: r.Undoes, Undone: r.Undone, Undoable: r.Undoable, Workflow: r.WorkflowID,
	}
}

func (l editList) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of library %s", plural(len(l.Edits), "edit"), l.Library)
	for _, e := range l.Edits[:min(len(l.Edits), 10)] {
		fmt.Fprintf(&b, "\n%d %s %s %s", e.Number, e.At, e.Action, cut(e.Detail, 100))
		if e.Undone {
			b.WriteString(" (undone)")
		}
	}
	return b.String()
}

// wordList is an argument of short texts: an array, or one text with commas.
type wordList struct {
	given bool
	list  []string
}

const maxWords = 200

func (l *wordList) schema() string { return `"type":"array"` }

func (l *wordList) parse(value []byte) error {
	wrong := fmt.Errorf("must be an array of at most %d strings", maxWords)
	l.given, l.list = true, []string{}
	add := func(raw []byte) error {
		text, err := jsonrpc.Text(raw)
		if err != nil || len(text) > maxText || strings.ContainsRune(text, 0) || len(l.list) == maxWords {
			return wrong
		}
		l.list = append(l.list, strings.ToValidUTF8(text, "\uFFFD"))
		return nil
	}
	switch {
	case value[0] == '[':
		if jsonrpc.Elements(value, add) != nil {
			return wrong
		}
		return nil
	case value[0] != '"' || add(value) != nil:
		return wrong
	}
	l.list = strings.FieldsFunc(l.list[0], func(r rune) bool { return r == ',' || r == ' ' })
	return nil
}

func (l *wordList) ids() (ids []pattern.ID) {
	for _, text := range l.list {
		ids = append(ids, pattern.ID(text))
	}
	return ids
}

// optionalText is a text that may be given empty.
type optionalText struct{ text *string }

func (o *optionalText) schema() string { return `"type":"string"` }

func (o *optionalText) parse(value []byte) error {
	var text string
	if err := json.Unmarshal(value, &text); err != nil || strings.ContainsRune(text, 0) {
		return fmt.Errorf("must be text, not %s", short(string(value)))
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	o.text = &text
	return nil
}

// optionalBool is true, false or not given.
type optionalBool struct{ value *bool }

func (o *optionalBool) schema() string { return `"type":"boolean"` }

func (o *optionalBool) parse(value []byte) error {
	s := string(value)
	if s != "true" && s != "false" {
		return fmt.Errorf("must be true or false, not %s", short(s))
	}
	yes := s == "true"
	o.value = &yes
	return nil
}
