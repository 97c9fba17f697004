// Package bench measures Tartan beside its peers in one run. It is a module of its own, so that the peers never enter the
// product's go.mod. TARTAN_EVAL_DATA names a folder of <system>.content and <system>.gtid files: a message per line, and the true
// event id of each.
package bench
