// Time as the libraries behind the facades keep it: while somebody waits for it, the process stays alive.
import type { Clock, Timer } from "./clock.ts";

/** The same clock, whose timers keep the process alive. */
export function keepingAlive(clock: Clock): Clock {
  return {
    now: () => clock.now(),
    wall: () => clock.wall(),
    setTimeout: <A>(callback: (arg: A) => void, ms: number, arg?: A): Timer => {
      // A caller without `arg` has a callback without parameters.
      const timer = clock.setTimeout(callback, ms, arg as A);
      timer.ref();
      return timer;
    },
  };
}
