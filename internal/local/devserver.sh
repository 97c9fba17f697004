#!/bin/sh
# Copies the module devserver into the folder that the tartan binary embeds, each file as text: a module cannot
# embed the files of another. go generate ./internal/local runs it.
set -eu
cd "$(dirname "$0")"
rm -rf devserver
(cd ../../devserver && find . -type f \( -name '*.go' -o -name go.mod -o -name go.sum \)) | while read -r file; do
	mkdir -p "devserver/$(dirname "$file")"
	cp "../../devserver/$file" "devserver/$file.txt"
done
