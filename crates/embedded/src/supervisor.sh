# Runs one server for a parent that may be killed at any moment.
#
# $1: the signal for the server when the parent is gone; $2: the folder to remove then; the rest: the command.
# Standard input is the parent's hold on us: a line is a signal to pass on, or "leave" (the server has ended: go, and keep
# the folder); its end means that the parent is gone, however it went. Standard output says the server's process id, and
# ends when the last process of the server has ended, since each of them inherits descriptor 4. Standard error is the
# server's log. The server is our child and is not waited for before the end, so its process id cannot become somebody
# else's before we use it.
last=$1 folder=$2
shift 2
exec 3<&0 4>&1 </dev/null
"$@" >&2 3<&- &
server=$!
echo "$server"
exec >&2 4>&-
while read -r order <&3; do
  case $order in
    leave) wait "$server"; exit 0 ;;
    *) kill -s "$order" "$server" 2>/dev/null ;;
  esac
done
kill -s "$last" "$server" 2>/dev/null
wait "$server"
rm -rf "$folder"
