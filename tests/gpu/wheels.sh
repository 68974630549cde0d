# Sourced by the scripts that pack for Python 3.12 on Linux: `fetch DIRECTORY REQUIREMENT` leaves one wheel there.
platforms=(); for tag in manylinux_2_{39,35,34,31,28,27,24,17,12,5}_x86_64 manylinux{2014,2010,1}_x86_64 any; do
  platforms+=(--platform "$tag"); done
fetch() { python3 -m pip download -q --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
  "${platforms[@]}" -d "$1" "$2"; }
