package tools

import "strings"

// families say which tools belong together for the scopes of agents. What is in none belongs to tartan.
var families = map[string][]string{
	"pattern": {
		"recognize", "compare_windows", "list_patterns", "get_pattern", "get_values", "find_sequences", "try_patterns", "draw_pattern", "export_pattern",
		"similar_patterns", "edit_pattern", "describe_pattern", "list_edits", "mine_patterns", "cluster_texts",
	},
	"features": {"recognize_series", "train_series", "find_motifs"},
	"knowledge": {
		"search_knowledge", "get_knowledge", "propose_change", "validate_change", "review_change", "resolve_conflict", "link_knowledge", "knowledge_history",
		"restore_knowledge", "search", "fetch",
	},
	"router":    {"route_model", "report_outcome", "list_models", "run_model"},
	"migration": {"plan_migration", "start_migration", "review_migration", "rollback_migration"},
}

// special are the scopes of tools that change something in a way that is granted by itself.
var special = map[string]string{
	"propose_change": "knowledge:propose", "validate_change": "knowledge:propose", "review_change": "knowledge:review", "resolve_conflict": "knowledge:review",
	"run_model": "router:invoke",
}

// Scope is what an agent needs to call the tool, such as pattern:read.
func (t *Tool) Scope() string {
	if s, ok := special[t.Name]; ok {
		return s
	}
	action := ":write"
	if t.ReadOnly {
		action = ":read"
	}
	for family, names := range families {
		for _, n := range names {
			if n == t.Name {
				return family + action
			}
		}
	}
	return "tartan" + action
}

// ScopeOf is what an agent needs to read a resource.
func ScopeOf(uri string) string {
	switch {
	case strings.HasPrefix(uri, "tartan://patterns/"):
		return "pattern:read"
	case strings.HasPrefix(uri, "tartan://knowledge/"):
		return "knowledge:read"
	}
	return "tartan:read"
}
