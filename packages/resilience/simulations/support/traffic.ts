// Requests that come whether the ones before have been answered or not.
import { exponential, type Random } from "./random.ts";
import type { Simulation } from "./simulation.ts";

/** Calls `arrive` at random times, on average `perSecond` (which may change with time) times a second. */
export function arrivals(simulation: Simulation, perSecond: (now: number) => number, arrive: () => void): void {
  const random: Random = simulation.stream();
  const next = () => {
    simulation.after(exponential(random, 1_000 / perSecond(simulation.now)), () => {
      arrive();
      next();
    });
  };
  next();
}
