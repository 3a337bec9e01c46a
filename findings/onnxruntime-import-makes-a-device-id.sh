#!/usr/bin/env bash
# Importing ONNX Runtime on Linux makes a device id in the home folder; its own switch comes too late.
#
# onnxruntime 1.32.0 from PyPI (1.30.0 and 1.31.0 do the same), Linux on x86-64.
#
# Guessed: telemetry is a matter of the builds for Windows, as its privacy page long said; on Linux an
# import writes nothing, and `disable_telemetry_events()` is there to be called.
# Seen on 2026-11-28: `import onnxruntime` alone, without a session, writes a `deviceid` and an event
# database below ~/.cache/Microsoft. `disable_telemetry_events()` right after the import changes
# nothing, nor does setting ORT_DISABLE_TELEMETRY in the process after it: the variable has to be there
# before the import. So a server with a home folder that is shared, read-only or baked into an image
# meets these files unless it sets the variable before anything imports the library.
#
# Fails if an import without the variable writes nothing, if the call after it helps, or if the variable
# before it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0

# The files that a program leaves in a new home folder.
left_by() {
  local home="$folder/home"
  rm -rf "$home"
  mkdir "$home"
  env -u XDG_CACHE_HOME -u ORT_DISABLE_TELEMETRY HOME="$home" "$@" >/dev/null
  (cd "$home" && find . -type f | sort)
}

python="$folder/venv/bin/python"
imported=$(left_by "$python" -c 'import onnxruntime')
switched=$(left_by "$python" -c 'import onnxruntime; onnxruntime.disable_telemetry_events()')
late=$(left_by "$python" -c 'import onnxruntime, os; os.environ["ORT_DISABLE_TELEMETRY"] = "1"')
before=$(left_by env ORT_DISABLE_TELEMETRY=1 "$python" -c 'import onnxruntime')

printf 'import alone:\n%s\n' "$imported"
printf 'disable_telemetry_events() after it:\n%s\n' "$switched"
printf 'the variable set after it:\n%s\n' "$late"
printf 'the variable set before it: %s\n' "${before:-nothing}"
grep -q deviceid <<<"$imported"
[ "$imported" = "$switched" ]
[ "$imported" = "$late" ]
[ -z "$before" ]
echo "as seen"
