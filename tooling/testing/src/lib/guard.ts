// Undoes what a test left behind when its process ends without cleaning up, be it by SIGKILL.
//
// A shell waits on a pipe from this process. A line means "all is well, forget it"; the end of the pipe means that
// this process is gone. The shell lives in its own session, so Ctrl-C in the terminal does not reach it first.
import { spawn } from "node:child_process";

/** Kills the process group when this process ends, unless the returned function was called before. */
export function killGroupOnDeath(processGroup: number): () => void {
  return runOnDeath('kill -s KILL -- "-$1"', String(processGroup));
}

/** Removes the folder when this process ends, unless the returned function was called before. */
export function removeFolderOnDeath(folder: string): () => void {
  // Who still writes into the folder is killed at the same moment and may take a while to be gone.
  return runOnDeath('{ sleep 1; rm -rf -- "$1"; }', folder);
}

function runOnDeath(action: string, argument: string): () => void {
  const guard = spawn("sh", ["-c", `read -r _ || ${action}`, "guard", argument], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  guard.on("error", () => {}); // no shell, no guard: the tests still clean up when they end by themselves
  guard.stdin.on("error", () => {});
  guard.unref();
  (guard.stdin as unknown as { unref?(): void }).unref?.(); // the types hide that the pipe is a socket
  return () => guard.stdin.end("\n");
}
