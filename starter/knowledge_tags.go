package main

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/postgres"
)

// tagView is a tag in JSON.
type tagView struct {
	Name     string    `json:"name"`
	Note     string    `json:"note,omitempty"`
	By       string    `json:"by"`
	At       time.Time `json:"at"`
	Revision int64     `json:"revision"` // of the space
	Entries  int       `json:"entries"`
}

// tagsView is what --output json prints.
type tagsView struct {
	Space string    `json:"space"`
	Tags  []tagView `json:"tags"` // the newest first
}

var tagForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

func (a *app) knowledgeTag() *cobra.Command {
	var note string
	c := &cobra.Command{
		Use:   "tag SPACE [NAME]",
		Short: "List the tags of a space, or name what lives in it now",
		Long: "List the tags of a space, or name what lives in it now. A tag is never moved or deleted, and what it names is kept whatever the\n" +
			"retention; restore --tag brings it back, and export --tag writes it.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return fmt.Errorf("%s wants a space, and a name to make a tag", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			ctx, out := c.Context(), tagsView{args[0], []tagView{}}
			if len(args) == 2 && !tagForm.MatchString(args[1]) {
				return usage("%q is no name of a tag: want letters, digits, ., _ and -, such as v1.2", args[1])
			}
			if len(args) == 1 && note != "" {
				return usage("--note is for a tag that is made: give its name too")
			}
			err := a.inSpace(ctx, args[0], func(tx pgx.Tx, s postgres.Space) error {
				if len(args) == 2 {
					caller, err := a.caller(ctx)
					if err != nil {
						return err
					}
					t, err := postgres.CreateTag(ctx, tx, s, args[1], note, caller.UserID)
					out.Tags = append(out.Tags, viewOfTag(t))
					return err
				}
				tags, err := postgres.Tags(ctx, tx, s.ID)
				for _, t := range tags {
					out.Tags = append(out.Tags, viewOfTag(t))
				}
				return err
			})
			switch {
			case errors.Is(err, postgres.ErrExists):
				return &failure{code: codeUsage, what: "space " + args[0] + " has a tag " + args[1] + " already", next: "choose another name: tags are not moved"}
			case err != nil:
				return err
			case a.json():
				return a.printJSON(out)
			}
			table := [][]string{{"TAG", "AT", "REVISION", "ENTRIES", "BY", "NOTE"}}
			for _, t := range out.Tags {
				table = append(table, []string{t.Name, t.At.Format(time.RFC3339), count(t.Revision), count(int64(t.Entries)), t.By, clip(t.Note, 60)})
			}
			return a.table(table)
		},
	}
	c.Flags().StringVar(&note, "note", "", "what it is for")
	return c
}

func viewOfTag(t postgres.Tag) tagView {
	return tagView{t.Name, t.Note, t.Author.String(), t.CreatedAt.UTC(), t.SpaceRevision, t.Entries}
}
