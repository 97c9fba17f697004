#!/bin/sh
# Makes the namespace `default` once the frontend answers.
set -eu
tries=0
until temporal operator cluster health; do
  tries=$((tries + 1))
  [ "$tries" -lt 30 ] || { echo "Temporal did not become healthy in 60 s" >&2; exit 1; }
  sleep 2
done
temporal operator namespace describe -n default ||
  temporal operator namespace create -n default --retention 168h
