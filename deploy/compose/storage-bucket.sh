#!/bin/sh
# Makes the private bucket `tartan` unless it is there.
set -eu
url=http://storage:5000/bucket
auth="Authorization: Bearer $SERVICE_KEY"
curl -sf -o /dev/null -H "$auth" "$url/tartan" ||
  curl -sSf -H "$auth" -H 'Content-Type: application/json' -d '{"id":"tartan","name":"tartan","public":false}' "$url"
