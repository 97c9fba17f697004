// Package retrieval measures Tartan's search beside bleve's in one run, on the same entries and queries. TARTAN_SEARCH_ENTRIES is the
// number of entries, 100,000 unless set; TARTAN_EVAL_DATA names a folder of collections to measure quality on, as bench retrieval reads it.
package retrieval
