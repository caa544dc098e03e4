"""Copies what the Docker client would send to the engine: the files that .dockerignore leaves. Prints them as JSON."""
import json
import pathlib
import shutil
import sys

from docker.utils.build import exclude_paths

source, target = map(pathlib.Path, sys.argv[1:3])
patterns = [
    line.strip()
    for line in (source / ".dockerignore").read_text().splitlines()
    if line.strip() and not line.startswith("#")
]
# The engine gets the Dockerfile in any case.
files = sorted(f for f in exclude_paths(str(source), patterns) if (source / f).is_file())
for file in files:
    (target / file).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / file, target / file)
print(json.dumps(files))
