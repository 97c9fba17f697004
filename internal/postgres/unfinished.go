package postgres

import "errors"

var errUnfinished = errors.New("unfinished")
