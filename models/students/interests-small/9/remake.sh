#!/usr/bin/env bash
# Makes a student as interests-small@9 was made: vocabulary, training, sealing, building, all into a
# folder of yours.
#
#     models/students/interests-small/9/remake.sh DATA OUT
#
# DATA holds huffpost.jsonl.gz (News Category Dataset) and queries.jsonl.gz (Natural Questions): what
# is in them and where they come from says docs/simulator.md, "The data". Run it again after an
# interruption: the training goes on from its last checkpoint. --smoke before DATA trains a few steps
# on a few users, to see the whole of it at work with any articles.
#
# The vocabulary comes out byte for byte, everywhere. The weights do not: the users that @9 was trained
# on were simulated with all-MiniLM-L6-v2, and today's are simulated with e5-small-v2, so the same
# configuration trains another student. The sources that trained @9 are those of the commit that
# `lineage` in student.yaml names.
#
# PYTHON: of the training environment (default: .venv-train/bin/python, from `make train`).
# ENCODERS: folder of built encoders (default: OUT/encoders); e5-small-v2 is fetched where it is not there.
# ENCODER_CACHE: folder of its vectors (default: OUT/encoder).
set -euo pipefail

smoke=
if [ "${1:-}" = --smoke ]; then smoke=yes; shift; fi
if [ $# -ne 2 ] || [ ! -d "$1" ]; then
    echo "usage: $0 [--smoke] DATA OUT   (DATA: the folder of the data)" >&2
    exit 2
fi

shipped=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$shipped/../../../.." && pwd)
data=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
python=${PYTHON:-$root/.venv-train/bin/python}
encoders=${ENCODERS:-$out/encoders}
cache=${ENCODER_CACHE:-$out/encoder}
student=$out/students/interests-small/9
cd "$root"

step() { echo; echo "== $* (after $SECONDS s)"; }
run() { echo "+ $*"; "$@"; }
same() { if cmp -s "$1" "$2"; then echo "$1 is the shipped one, byte for byte"; else echo "$1 differs from the shipped one"; fi; }

step "the student's folder"
mkdir -p "$student"
cp "$shipped"/{student.yaml,template.yaml,training.yaml,card.md} "$student"
if [ "$smoke" ]; then
    sed -i \
        -e 's/^mixes:.*/mixes: {easy: 8}/' \
        -e 's/^worlds:.*/worlds: 1/' \
        -e 's/^verdict:.*/verdict: {layer: 29, weight: 0.5}/' \
        -e 's/^lora:.*/lora: {rank: 2, alpha: 4, first_layer: 28}/' \
        -e 's/^  batch:.*/  batch: 2/' \
        -e 's/^  most_steps:.*/  most_steps: 2/' \
        -e 's/^  users:.*/  users: 2/' \
        "$student/training.yaml"
fi

step "the vocabulary: 12,288 tokens, by articles before the test's time and Natural Questions"
run "$python" -m models.studies.vocabulary --size 12288 --before 2021-07-01 \
    --out "$student/vocabulary.json" "$data/huffpost.jsonl.gz" "$data/queries.jsonl.gz"
same "$student/vocabulary.json" "$shipped/vocabulary.json"

step "the encoder that users are simulated with"
run "$python" -m service encoders build e5-small-v2@1 --into "$encoders"

step "the training"
resume=()
if compgen -G "$out/train/checkpoint-*" > /dev/null; then resume=(--resume); fi
run "$python" -m service train sft --config "$student/training.yaml" --data "$data" \
    --students "$out/students" --base "$out/base" --out "$out/train" \
    --world-encoder "$encoders/e5-small-v2/1" --cache "$cache" "${resume[@]}"

step "sealing: the adapter into the student's folder, checksums into its manifest"
run "$python" -m service students seal "$student" --adapter "$out/train/adapter.safetensors"

step "building, and checking what was built"
run "$python" -m service students build "$student" --into "$out/built"
run "$python" -m service students verify "$out/built/interests-small/9"

step "done: the student is $student, built in $out/built/interests-small/9"
