#!/bin/bash
# Fills the keys into the declarative configuration: Kong 2.8 reads no environment there.
set -euo pipefail
config=$(</setup/kong.yml)
for name in SUPABASE_ANON_KEY SUPABASE_SERVICE_KEY DASHBOARD_USERNAME DASHBOARD_PASSWORD; do
  config=${config//"\$$name"/"${!name}"}
done
printf '%s\n' "$config" >"$KONG_DECLARATIVE_CONFIG"
exec /docker-entrypoint.sh kong docker-start
