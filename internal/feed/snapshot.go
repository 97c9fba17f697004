package feed

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/knowledge/search"
	"github.com/tartan-ai/tartan/internal/postgres"
)

const (
	// A snapshot is written after the first load, and then when so much has changed, or so long ago.
	saveAfter = 5000
	saveEvery = 10 * time.Minute
)

func (s *Searched) path() string {
	return filepath.Join(s.l.o.Snapshots, s.workspace.String()+".index")
}

// restore reads the snapshot. Without one, or with one that cannot be used, the index is built from the database; so nothing
// that goes wrong here is an error.
func (s *Searched) restore(ctx context.Context) {
	if s.l.o.Snapshots == "" {
		return
	}
	index, spaces, err := s.readSnapshot(s.path())
	if err == nil {
		err = s.verify(ctx, spaces)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		s.l.log.Warn("snapshot of the index not used", zap.Stringer("workspace_id", s.workspace), zap.Error(err))
	default:
		s.mu.Lock()
		s.index, s.spaces, s.saved = index, spaces, time.Now()
		s.mu.Unlock()
	}
}

// verify says whether the spaces of a snapshot were at their revisions in this database: it may have been replaced.
func (s *Searched) verify(ctx context.Context, spaces map[uuid.UUID]indexed) error {
	return postgres.ReadAsService(ctx, s.l.pool, func(tx pgx.Tx) error {
		for id, at := range spaces {
			if at.Revision == 0 {
				continue
			}
			rows, err := postgres.RevisionsSince(ctx, tx, id, at.Revision-1, 1)
			if err != nil {
				return err
			}
			if len(rows) == 0 || rows[0].Space != at.Name || rows[0].ChangeID != at.Change {
				return fmt.Errorf("space %s has another history", at.Name)
			}
		}
		return nil
	})
}

func (s *Searched) readSnapshot(path string) (*search.Index, map[uuid.UUID]indexed, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<16)
	head, err := r.ReadBytes('\n')
	spaces := map[uuid.UUID]indexed{}
	if err == nil {
		err = json.Unmarshal(head, &spaces)
	}
	if err != nil {
		return nil, nil, err
	}
	index, _, err := search.Read(r, s.options())
	return index, spaces, err
}

// save writes a snapshot where it is time to. It holds words of the texts, so it is for this user's eyes only. The caller holds the gate.
func (s *Searched) save(first bool) {
	if s.l.o.Snapshots == "" || s.since == 0 || !first && s.since < saveAfter && time.Since(s.saved) < saveEvery {
		return
	}
	err := os.MkdirAll(s.l.o.Snapshots, 0o700)
	if err == nil {
		err = s.write()
	}
	if err != nil {
		s.l.log.Warn("snapshot of the index not written", zap.Stringer("workspace_id", s.workspace), zap.Error(err))
		return
	}
	s.since, s.saved = 0, time.Now()
}

func (s *Searched) write() error {
	f, err := os.CreateTemp(s.l.o.Snapshots, "index-*.part") // readable by its owner only
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	s.mu.RLock()
	head, err := json.Marshal(s.spaces)
	s.mu.RUnlock()
	if err == nil {
		_, err = f.Write(append(head, '\n'))
	}
	if err == nil {
		err = s.index.WriteSnapshot(f, 0)
	}
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		err = os.Rename(f.Name(), s.path())
	}
	return err
}
