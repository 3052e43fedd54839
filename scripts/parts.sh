# shellcheck shell=bash
# Run the parts of `make check` and `make test`, keep their output, and end with one line for each. Sourced after lib.sh.

logs=$PWD/.cache/logs
results=()
failed=()
export NO_COLOR=1 # the output goes to a file as well
# shellcheck disable=SC2034 # used by the scripts that source this
parallel=(--numprocesses 2 --dist worksteal) # pytest mostly waits: for servers, for ansible-playbook

# start_parts: forget the last run.
start_parts() {
    rm -rf "$logs"
    mkdir -p "$logs"
    SECONDS=0
}

# part NAME COMMAND...: run it and continue, whether it fails or not; finish_parts reports. A skipped test is a failure: it did not run.
part() {
    local name=$1 started=$SECONDS result=ok
    shift
    say "$name"
    "$@" </dev/null 2>&1 | tee "$logs/$name.log" || result=FAILED
    if grep -qE '^=+ .*[0-9]+ skipped' "$logs/$name.log"; then result=FAILED; fi
    [ $result = ok ] || failed+=("$name")
    results+=("$(printf '%-12s %-6s %4d s' "$name" $result $((SECONDS - started)))")
}

# finish_parts: print the table of parts, what failed, and pytest's own summary lines; fail if a part did.
finish_parts() {
    local name
    printf '\n'
    printf '%s\n' "${results[@]}" "$(printf '%-19s %4d s' total $SECONDS)"
    grep -hE '^(FAILED|ERROR|SKIPPED) ' "$logs"/*.log || true
    for name in "${failed[@]}"; do say "$name FAILED; its output: .cache/logs/$name.log"; done
    grep -hE '^=+ .*[0-9]+ (passed|failed|error).* in [0-9.]+s.*=+$' "$logs"/*.log || true
    [ ${#failed[@]} = 0 ]
}
