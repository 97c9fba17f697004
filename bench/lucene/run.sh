#!/bin/sh
# Ranks collections in BEIR's layout with Lucene as Anserini's BM25 does, beside tartan bench retrieval:
#   bench/lucene/run.sh DIR...
# It wants a JDK of 17 or newer and Maven, which fetches Lucene the first time. It prints a line a collection: nDCG@10, R@100.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${TMPDIR:-/tmp}/tartan-lucene-peer
mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$build/lib" >&2
exec java -cp "$build/lib/*" "$here/Peer.java" "$@"
