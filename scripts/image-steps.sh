#!/usr/bin/env bash
# Builds the image without a Docker engine: follows the Dockerfile's instructions up to the stage `runtime`, with this machine's
# system instead of the base images, and runs the result like an engine (image-run.sh).
#   [PACK=NAME PACK_FROM=deploy/packs] scripts/image-steps.sh [context] [node]
# context: the folder to build from, after .dockerignore; node: the binary to build and run with.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
context=$(cd "${1:-$here/..}" && pwd)
node=$(command -v "${2:-node}")
node=$(cd "$(dirname "$node")" && pwd)/$(basename "$node")
work=$(mktemp -d "${TMPDIR:-/tmp}/faceid-image-XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

# This node, and the npm that came with it, if any.
npm=$(dirname "$node")/../lib/node_modules/npm/bin/npm-cli.js
mkdir "$work/bin"
ln -s "$node" "$work/bin/node"
if [[ -f $npm ]]; then
  printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$node" "$npm" >"$work/bin/npm"
  chmod +x "$work/bin/npm"
fi
export PATH=$work/bin:$PATH
echo "node $(node --version), npm $(npm --version)"

# COPY [--from=STAGE] [--chown=USER] SOURCE... TARGET, with sources from the context unless a stage is named.
copy() {
  local from=$context target=${*: -1}
  while [[ $1 == --* ]]; do
    [[ $1 == --from=* ]] && from=$work/${1#--from=}
    shift
  done
  # This machine's node replaces that of Node's image.
  [[ $1 == /usr/local/bin/node ]] && return
  [[ $target == /* ]] && target=$root$target || target=$PWD/$target
  # As in Docker: several sources or a trailing slash make the target a folder, and a folder's contents are copied.
  if [[ $# -gt 2 || $target == */ || $target == */. ]]; then
    mkdir -p "$target"
    (cd "$from" && cp -R "${@:1:$#-1}" "$target")
  else
    mkdir -p "$(dirname "$target")"
    cp -R "$from/$1" "$target"
  fi
}

instructions() { sed -e '/^#/d' -e ':join' -e '/\\$/{N;s/\\\n *//;bjoin' -e '}' "$context/Dockerfile"; }

skipped=false
while read -r word rest; do
  case $word in
    FROM)
      stage=${rest##* AS }
      root=$work/$stage
      base=${rest%% *}
      # The GPU stages need files that only their base image has.
      [[ $stage == *gpu ]] && skipped=true || skipped=false
      $skipped && continue
      echo "== stage $stage"
      mkdir -p "$root"
      [[ -d $work/$base && $base != node ]] && cp -R "$work/$base/." "$root"
      cd "$root"
      ;;
    WORKDIR)
      $skipped && continue
      mkdir -p "$root$rest"
      cd "$root$rest"
      ;;
    COPY)
      $skipped && continue
      read -ra words <<<"$rest"
      copy "${words[@]}"
      ;;
    RUN)
      $skipped && continue
      echo "+ $rest"
      bash -euo pipefail -c "$rest"
      ;;
    ARG)
      # The environment replaces --build-arg; as in Docker its value overrides the default.
      argument=${rest%%=*}
      [[ $rest == *=* && -z ${!argument:-} ]] && export "$rest"
      ;;
    ENV)
      $skipped || eval "echo \"ENV $rest\"" >>"$work/$stage.config"
      ;;
    USER | ENTRYPOINT | CMD | HEALTHCHECK)
      $skipped || echo "$word $rest" >>"$work/$stage.config"
      ;;
  esac
done < <(instructions)

echo "== contents of the image besides its base"
kilobytes() { du -sk --apparent-size "$@" | sed "s|$root||" | sort -rn; }
kilobytes "$node"
kilobytes "$root"/app
kilobytes "$root"/app/dist "$root"/app/node_modules/* | sed -n 1,8p

cd "$here"
bash image-run.sh "$root" "$work/runtime.config" "$node"
