# The services of the machine in the box, and what the commands of a document stand on.
set -eu
where='the master is set up'
at() { where="$1: $2"; }
watch_errors() {
    trap 'echo "FAILED: $where"; echo "--- the log of the master"; tail -n 15 /tmp/master.log 2>/dev/null' ERR
}
watch_errors
set -o errtrace

# One daemon for each port that the document names.
upstreams() {
    for port in "$@"; do
        rsync --daemon --no-detach --config=/tmp/rsyncd.conf --port="$port" --log-file="/tmp/rsyncd-$port.log" &
    done
}

# Starts a run that goes on until it is ended: its upstream takes connections and says nothing.
endless_run() {
    python3 -c 'import os, signal, socket
silent = socket.create_server(("127.0.0.1", 8999))
if os.fork() == 0:
    signal.pause()'
    heliostat project add silent rsync://127.0.0.1:8999/silent /srv/mirror/silent --no-probe >/dev/null
    heliostat sync silent >/dev/null
}

ready() {
    tries=0
    until heliostat status >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || { echo "the master does not answer"; tail -n 20 /tmp/master.log; exit 1; }
        sleep 0.1
    done
}

start_master() {
    command heliostat serve >>/tmp/master.log 2>&1 &
    server=$!
    ready
}

stop_master() {
    kill "$server"
    wait "$server"
}

# Lets the master, which has been stopped, listen on another port, and every command ask it there.
move_master() {
    sed -i "s|^\( *\)/*listen: \"127.0.0.1:.*|\1listen: \"127.0.0.1:$1\",|" /etc/heliostat/heliostat.ron
    export HELIOSTAT_SERVER=http://127.0.0.1:$1
    start_master
}

# A command that goes on until it is ended: it must still be there after two seconds.
endless() {
    (eval "$1") &
    sleep 2
    kill -0 $!
    kill $!
}

# Who is asked for a new password types one, twice, at a terminal.
heliostat() {
    case "$1 ${2-}" in
    "user add" | "user passwd")
        python3 -c 'import os, pty, sys
def answer(terminal):
    said = os.read(terminal, 1024)
    if said.rstrip().endswith(b":"):
        os.write(terminal, b"correct horse\n")
    return said
sys.exit(os.waitstatus_to_exitcode(pty.spawn(["heliostat", *sys.argv[1:]], answer)))' "$@"
        ;;
    *) command heliostat "$@" ;;
    esac
}

# Here HTTPS ends in front of the box.
curl() { command curl "${@//https:\/\/mirror.example.org:5000/http://127.0.0.1:5000}"; }

# The RON of a document's block: the first one, or that of this number.
ron() {
    awk -v wanted="$1" '/^```ron/ { n++; on = n == wanted; next } /^```/ { on = 0 } on' /tmp/document.md
}

# A master by the packaged configuration, with one project that has been synced.
master() {
    heliostat config init --role master >/etc/heliostat/heliostat.ron
    mkdir /tmp/here && cd /tmp/here
    start_master
    heliostat project add debian rsync://localhost/book /srv/mirror/debian --attempts 1 --no-probe >/dev/null
    heliostat sync debian --follow >/dev/null
}

newest_run() {
    heliostat runs --output json | grep -o '"id": "[^"]*"' | head -n 1 | cut -d '"' -f 4
}

# Ends what the document has left running.
done_with_it() {
    at "the end" "the machine stops"
    trap - ERR
    kill $(jobs -p) 2>/dev/null || true
}
