package postgres

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// cursor is where a page ended: the sort key and the id of its last row. Callers see it as one opaque word.
type cursor struct {
	Sort  string `json:"s"`
	Value string `json:"v"`
	ID    string `json:"i"`
}

func (c cursor) String() string {
	body, _ := json.Marshal(c) // three strings cannot fail
	return base64.RawURLEncoding.EncodeToString(body)
}

// readCursor returns the cursor in s, which must have been made by a list of the same order; "" is the beginning.
func readCursor(s, sort string) (c cursor, err error) {
	if s == "" {
		return cursor{}, nil
	}
	body, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(body, &c)
	}
	if err != nil || c.Sort != sort {
		return cursor{}, fmt.Errorf("%w: use the one returned with the page before, in the same order", ErrBadCursor)
	}
	return c, nil
}

// pageSize brings a limit asked for between 1 and 1,000.
func pageSize(limit int) int {
	if limit <= 0 {
		return 50
	}
	return min(limit, 1000)
}
