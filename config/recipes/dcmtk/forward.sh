#!/bin/sh
# Stands between a scanner and cspine-node with DCMTK alone: receives, and sends on study by study until it has arrived.
#
#   forward.sh listen                receive on $PORT, and send each study on $QUIET_S seconds after its last instance
#   forward.sh again                 send what could not be sent before: a line in crontab(5), every 5 minutes
#
# What had not been quiet for so long when `listen` was stopped, its next start leaves to `again`.
set -eu

: "${SPOOL:=/var/spool/cspine-forward}" "${PORT:=11113}" "${AET:=FORWARD}"
: "${NODE_HOST:=127.0.0.1}" "${NODE_PORT:=11112}" "${NODE_AET:=CSPINE}" "${QUIET_S:=60}"
export SPOOL PORT AET NODE_HOST NODE_PORT NODE_AET QUIET_S
export TCP_NODELAY=1                    # else DCMTK waits 40 ms an object

# Sends one study from outgoing/; only what has arrived as a whole is removed.
send() {
    exec 9>"$SPOOL/lock"
    flock 9                             # one at a time, so that `again` does not meet `listen`
    [ -d "$1" ] || return 0
    sift "$1"
    if [ -z "$(find "$1" -type f -print -quit)" ] ||
        storescu --scan-directories --recurse --required -aet "$AET" -aec "$NODE_AET" "$NODE_HOST" "$NODE_PORT" "$1"; then
        rm -r "$1"
    else
        echo "cspine-node did not take a study; it will be tried again" >&2
        return 1
    fi
}

# Removes what the node itself has made, so that nothing goes round in circles. Sets aside what is cut off: a stop came
# while it was written, so that it was not acknowledged, and storescu would send nothing of the study.
sift() {
    find "$1" -type f | while read -r file; do
        rc=0
        model=$(dcmdump -q +P ManufacturerModelName "$file" 2>/dev/null) || rc=$?
        if [ "$rc" -gt 0 ] && [ "$rc" -lt 126 ]; then
            mkdir -p "$SPOOL/unreadable"
            mv "$file" "$SPOOL/unreadable/$(basename "$1").$(basename "$file")"
            echo "a file that cannot be read lies in $SPOOL/unreadable now" >&2
        elif printf '%s' "$model" | grep -q '\[cspine-node\]'; then
            rm "$file"
        fi
    done
}

# Moves what came of a study to outgoing/, under a name that nothing has there.
take() {
    waiting="$SPOOL/outgoing/$(basename "$1").$$"
    while [ -e "$waiting" ]; do waiting="$waiting+"; done
    mv "$1" "$waiting"
}

case "${1:-}" in
listen)
    mkdir -p "$SPOOL/incoming" "$SPOOL/outgoing"
    exec 8>"$SPOOL/listening"           # storescp holds it as long as it runs
    flock -n 8 || { echo "another one receives into $SPOOL" >&2; exit 75; }
    for study in "$SPOOL"/incoming/*/; do
        [ ! -d "$study" ] || take "${study%/}"
    done
    # sorted by time and not by UID: what a stranger sends is never part of a command
    exec storescp --aetitle "$AET" --output-directory "$SPOOL/incoming" --sort-conc-studies study \
        --eostudy-timeout "$QUIET_S" --exec-on-eostudy "$0 received #p" "$PORT"
    ;;
received)
    exec 8>&-                           # what is still being sent keeps nobody from receiving
    take "$2"                           # what comes late makes a folder of its own
    send "$waiting"
    ;;
again)
    failed=0
    for study in "$SPOOL"/outgoing/*/; do
        [ -d "$study" ] || continue
        send "${study%/}" || failed=1
    done
    exit $failed
    ;;
*)
    sed -n '2,6s/^# \{0,1\}//p' "$0"
    exit 64
    ;;
esac
