package feed_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// BenchmarkEntry is what each recognition pays to find its library and its caller's role.
func BenchmarkEntry(b *testing.B) {
	db := testdb.New(b)
	caller := db.Workspace(b, "one")
	lib, source := library(b, db, caller, "app")
	p := start(b, db, feed.Options{})
	_, err := p.commit(b.Context(), caller, lib.ID, source, 1, []string{"server started"})
	require.NoError(b, err)
	_, err = p.libraries.Role(b.Context(), caller)
	require.NoError(b, err)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := p.libraries.Role(b.Context(), caller); err != nil {
				b.Fatal(err)
			}
			if _, err := p.libraries.Entry(b.Context(), lib.ID); err != nil {
				b.Fatal(err)
			}
		}
	})
}
