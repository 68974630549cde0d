#!/bin/sh
# Runs the Open Responses compliance suite against a running server: open_responses.sh SUITE BASE_URL KEY MODEL
# SUITE is a checkout of https://github.com/openresponses/openresponses. Needs npm; nothing is written but node_modules.
set -eu
suite=$1 base_url=$2 key=$3 model=$4
cd "$suite"
[ -x node_modules/.bin/bun ] || npm install --no-save --no-package-lock --ignore-scripts=false bun@1 zod@3.25.76
PATH=$PWD/node_modules/.bin:$PATH exec bun run bin/compliance-test.ts -u "$base_url" -k "$key" -m "$model"
