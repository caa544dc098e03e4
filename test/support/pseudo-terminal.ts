/** @file Runs a command on a terminal of a given width, by Python. */
import { spawnSync } from "node:child_process";

/** Whether this machine has pseudo-terminals and a Python that opens them. */
export const hasPseudoTerminal = spawnSync("python3", ["-c", "import pty"]).status === 0;

/** Prints what comes. */
const PTY = `
import fcntl, os, pty, struct, sys, termios
columns, *command = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(columns), 0, 0))
    os.execvp(command[0], command)
while True:
    try:
        data = os.read(terminal, 65536)
    except OSError:
        break
    if not data:
        break
    sys.stdout.buffer.write(data)
os.waitpid(pid, 0)`;

/** What to spawn so that a command runs on a terminal; what it writes there comes on standard output. */
export const onTerminal = (
  columns: number,
  command: readonly string[],
): [program: string, args: string[]] => ["python3", ["-c", PTY, String(columns), ...command]];
