package local

import (
	"maps"
	"slices"
	"strconv"
)

// serverSettings are given on the command line, so that a new version of Tartan changes them in an existing
// folder. What an operator puts into postgresql.conf holds for everything else.
func serverSettings(port int, socketDir string, o PostgresOptions) []string {
	s := map[string]string{
		"port":                    strconv.Itoa(port),
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": socketDir,
		"cluster_name":            "tartan",
		"password_encryption":     "scram-sha-256",

		// Logical decoding from the first start: changing the level later needs a restart. A slot that nobody
		// reads must not fill the disk.
		"wal_level":              "logical",
		"max_slot_wal_keep_size": "1GB",
		"max_replication_slots":  "10",
		"max_wal_senders":        "10",

		// A small machine: idle, the server takes about 30 MB. The log between two checkpoints bounds how long
		// recovery takes after a kill.
		"max_connections":         "100",
		"shared_buffers":          "128MB",
		"work_mem":                "16MB",
		"maintenance_work_mem":    "128MB",
		"effective_cache_size":    "1GB",
		"max_wal_size":            "512MB",
		"checkpoint_timeout":      "2min",
		"random_page_cost":        "1.1",
		"jit":                     "off", // compiling costs more than it saves on short queries
		"track_io_timing":         "on",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"log_line_prefix":         "%m [%p] %q%u@%d ",
		"log_min_error_statement": "panic", // statements may hold log lines of others
		"logging_collector":       "off",
		"log_destination":         "stderr",
	}
	if hasSyncfs {
		s["recovery_init_sync_method"] = "syncfs"     // instead of one fsync for each of a thousand files
		s["client_connection_check_interval"] = "10s" // ends the queries of killed clients
	}
	if !o.Fsync {
		s["fsync"], s["full_page_writes"] = "off", "off" // commits are still written before they are acknowledged
	}
	maps.Copy(s, o.Settings)
	args := make([]string, 0, 2*len(s))
	for _, k := range slices.Sorted(maps.Keys(s)) {
		args = append(args, "-c", k+"="+s[k])
	}
	return args
}
