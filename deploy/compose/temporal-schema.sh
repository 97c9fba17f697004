#!/bin/sh
# Creates or updates Temporal's two databases; safe to run on every start.
set -eu
for db in temporal visibility; do
  name=temporal; [ "$db" = visibility ] && name=temporal_visibility
  sql="temporal-sql-tool --plugin postgres12 --ep $SQL_HOST -p 5432 -u $SQL_USER --db $name"
  $sql create
  $sql setup-schema -v 0.0 || true # refuses when the schema is there already; the update below then does the work
  $sql update-schema -d "/etc/temporal/schema/postgresql/v12/$db/versioned"
done
