#!/usr/bin/env bash
# Runs the result of image-steps.sh like a Docker engine: user nobody, read-only root file system, its own loopback, the image's
# entry point, command, environment and health check. The first three need root; without it the script says what it leaves out.
#   scripts/image-run.sh ROOT CONFIG NODE
set -euo pipefail
root=$1 config=$2 node=$3
seconds_to_be_ready=60
seconds_of_grace=10

if [[ ${FACEID_IMAGE_ISOLATED:-} == "" ]] && unshare --mount --net true 2>/dev/null; then
  FACEID_IMAGE_ISOLATED=yes exec unshare --mount --net bash "$0" "$@"
fi

volumes=$(mktemp -d "${TMPDIR:-/tmp}/faceid-volumes-XXXXXX")
as=()
if [[ ${FACEID_IMAGE_ISOLATED:-} == yes ]]; then
  unset FACEID_IMAGE_ISOLATED
  ip link set lo up
  mount --make-rprivate /
  mount --bind "$volumes" "$volumes"
  mount -o remount,ro,bind /
  # Other mounts, such as a separate temporary folder, would stay writable.
  findmnt --noheadings --raw --output TARGET | grep -E "^(${TMPDIR:-/tmp}|/home|/work|/root|/var)" |
    while read -r mounted; do [[ $mounted == "$volumes" ]] || mount -o remount,ro,bind "$mounted" 2>/dev/null || true; done
  as=(setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all)
  if touch "$root/app/x" 2>/dev/null; then echo "the root file system is not read-only"; exit 1; fi
  echo "== isolated: user nobody, read-only root, own loopback"
else
  echo "== not isolated (needs root): same user, writable root, this machine's ports"
fi
cleanup() {
  jobs -p | xargs -r kill -9 2>/dev/null || true
  rm -rf "${volumes:?}"/* 2>/dev/null || true
}
trap cleanup EXIT
mkdir "$volumes"/{cache,tmp,work,dataset,models,runs}
chmod -R 777 "$volumes"

# The JSON array of an instruction as lines, with the image's paths turned into those of this machine.
array() {
  grep "^$1 " "$config" | tail -1 | grep -o '\[.*\]' |
    "$node" -e 'for (const word of JSON.parse(require("node:fs").readFileSync(0, "utf8"))) console.log(word)' |
    sed -e "s|^/app/|$root/app/|" -e "s|^/models|$volumes/models|" -e "s|^node$|$node|"
}
mapfile -t entrypoint < <(array ENTRYPOINT)
mapfile -t command < <(array CMD)
mapfile -t healthcheck < <(array HEALTHCHECK)
mapfile -t environment < <(grep '^ENV ' "$config" | cut -c5- | tr ' ' '\n' | sed -e "s|=/app/|=$root/app/|;t" -e "s|=/|=$volumes/|")

# A command in the container; with `exec` the awaited process receives the signals.
container() { cd "$volumes/work" && exec "${as[@]}" env -i PATH=/usr/bin:/bin "${environment[@]}" "$@"; }
now() { date +%s%N; }
fail() { echo "FAILED: $*"; exit 1; }

# Terminates a background process and expects an exit code in time.
stop() {
  local process=$1 wanted=$2 began code=0
  began=$(now)
  kill -TERM "$process"
  wait "$process" || code=$?
  local ms=$((($(now) - began) / 1000000))
  [[ $code == "$wanted" ]] || fail "SIGTERM: exit code $code, expected $wanted"
  ((ms < seconds_of_grace * 1000)) || fail "SIGTERM: took $ms ms"
  echo "SIGTERM: exit code $code after $ms ms"
}

# Libraries that the image's binaries need and debian:bookworm-slim has: glibc's and the compiler's.
echo "== shared libraries"
provided='^(linux-vdso|ld-linux.*|libc|libm|libdl|librt|libpthread|libresolv|libstdc\+\+|libgcc_s)\.so'
foreign=$(find "$root/app/node_modules" "$node" \( -name '*.node' -o -name '*.so*' -o -name node -type f \) -exec ldd {} + 2>/dev/null |
  awk '/=>/ { print $1, $3 }' | grep -v "$root/app" | cut -d' ' -f1 | sort -u | grep -vE "$provided" || true)
[[ -z $foreign ]] || fail "the base image lacks $foreign"
echo "nothing beyond glibc, libstdc++ and libgcc"

# The environment shows whether the image includes a pack.
if grep -q '^ENV .*FACEID_MODELS_DIR=/' "$config"; then
  echo "== model pack"
  packs=$(container FACEID_OFFLINE=1 "${entrypoint[@]}" models list)
  grep -E '^[a-z-]+ .*, here$' <<<"$packs" || fail "the pack is not in the image: $packs"
fi

echo "== train"
"$node" "$root/app/bin/faceid.js" dataset synthesize --output "$volumes/dataset" --identities 24 --images-per-identity 4 >/dev/null
chmod -R a+rX,a-w "$volumes/dataset"
settings=(DATASET_PATH="$volumes/dataset" SAVED_MODEL_PATH="$volumes/models/faceid" FACEID_OUTPUT="$volumes/runs/1"
  FACEID_PROGRESS=plain FACEID_MODEL=compact DATASET_SIZE=64 FACEID_VALIDATION_PAIRS=16)
(container "${settings[@]}" EPOCHS=1000 "${entrypoint[@]}" train) >"$volumes/work.log" 2>&1 &
training=$!
for ((i = 0; i < seconds_to_be_ready * 5; i++)); do
  [[ -e $volumes/runs/1/last.safetensors ]] && break
  kill -0 $training 2>/dev/null || { cat "$volumes/work.log"; fail "training ended by itself"; }
  sleep 0.2
done
stop $training 143
(container "${settings[@]}" EPOCHS=1000 "${entrypoint[@]}" train --resume "$volumes/runs/1" --epochs 1) >"$volumes/work.log" 2>&1 ||
  { cat "$volumes/work.log"; fail "a stopped run did not go on"; }
[[ -s $volumes/models/faceid/1/saved_model.pb ]] || fail "no SavedModel was written"
echo "stopped, resumed and exported: $(cd "$volumes/models" && find . -name saved_model.pb)"

echo "== serve"
(container "${entrypoint[@]}" "${command[@]}") >"$volumes/serve.log" 2>&1 &
server=$!
began=$(now)
until (container "${healthcheck[@]}"); do
  kill -0 $server 2>/dev/null || { cat "$volumes/serve.log"; fail "the server ended by itself"; }
  (($(now) - began < seconds_to_be_ready * 1000000000)) || fail "the health check does not pass"
  sleep 0.2
done
echo "health check: passed after $((($(now) - began) / 1000000)) ms"
find "$volumes/dataset" -name '*.png' | sed -n 1,2p >"$volumes/work/photos"
mapfile -t photos <"$volumes/work/photos"
(container "${entrypoint[@]}" request "${photos[@]}")
(container "${entrypoint[@]}" request --grpc localhost:8500 "${photos[@]}")
stop $server 0
echo "== the image's steps succeeded"
