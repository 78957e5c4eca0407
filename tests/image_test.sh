#!/usr/bin/env bash
# Builds the image and starts it, for real: it must live, say that it has no model, and not be root.
# The builder: MEDEXP_BUILD_IMAGE (a script with the verbs build, run, size), else docker, else ../shared/tools/build-image.
set -euo pipefail
cd "$(dirname "$0")/.."
name=medexp-serve-test
port=$((20000 + RANDOM % 20000))
at=http://127.0.0.1:$port
log=$(mktemp)
server=

fail() { echo "image-test: $*" >&2; sed 's/^/  log: /' "$log" >&2; exit 1; }
command -v curl >/dev/null || fail "curl is missing. On Debian: apt-get install curl"

tool=${MEDEXP_BUILD_IMAGE:-}
if [[ -z $tool ]] && docker info >/dev/null 2>&1; then tool=docker
elif [[ -z $tool && -x ../shared/tools/build-image ]]; then tool=../shared/tools/build-image
fi
[[ -n $tool ]] || fail "no builder of images was found. Start a Docker engine, or name a script: MEDEXP_BUILD_IMAGE=path"

if [[ $tool == docker ]]; then
  build() { docker build --quiet -t "$name" . >/dev/null; }
  inside() { docker run --rm "$name" "$@"; }
  start() { exec docker run --rm --name "$name" --read-only --tmpfs /tmp -p "127.0.0.1:$port:8000" "$name"; }
  stop() { docker stop "$name" >/dev/null 2>&1 || true; }
  size() { docker image inspect --format '{{.Size}}' "$name"; }
else
  build() { "$tool" build . -t "$name" >"$log" 2>&1; }
  inside() { "$tool" run "$name" -- "$@"; }
  start() { exec setsid "$tool" run "$name" --env "MEDEXP_SERVE_PORT=$port" -- python -m serve; }
  stop() { kill -TERM -- "-$server" 2>/dev/null || true; }
  size() { "$tool" size "$name"; }
fi
finish() { if [[ -n $server ]]; then stop; wait "$server" 2>/dev/null || true; fi; rm -f "$log"; }
trap finish EXIT

build || fail "the image cannot be built"
echo "image: built with $tool, $(size) (uncompressed)"

user=$(inside id -u | tr -d '\r')
[[ $user == 10001 ]] || fail "the image's user must be 10001. Received: $user"
inside python -c 'import importlib.util as u, sys
found = [n for n in ("tensorflow", "keras", "hydra", "pip", "pytest") if u.find_spec(n)]
sys.exit(f"must not be in the image: {found}" if found else 0)' || fail "packages are in the image that it must not hold"

start >"$log" 2>&1 &
server=$!
for _ in $(seq 100); do
  curl -fs "$at/health/live" >/dev/null && break
  kill -0 "$server" 2>/dev/null || fail "the container ended"
  sleep 0.2
done
curl -fs "$at/health/live" | grep -q '"alive"' || fail "/health/live does not answer"

answer=
for _ in $(seq 100); do # importing MLflow takes a few seconds; until then it says that it is looking
  answer=$(curl -s -w '\n%{http_code} %{content_type}' "$at/health/ready")
  [[ $answer == *"being looked up"* ]] || break
  sleep 0.2
done
[[ $answer == *"scripts/train.py"* && $answer == *$'\n503 application/problem+json' ]] \
  || fail "/health/ready must be 503 and say what to run. Received: $answer"
curl -fs "$at/" | grep -q 'id="drop"' || fail "the page is not served"
echo "image: lives, is not root, and says without a model what to run"
