// How many random schedules a property test tries.

/**
 * `standard`, which takes a second at most; in CI at least 2,000, or `ci`; or what the environment says, which is
 * PROPERTY_RUNS=100000 for a night.
 */
export function propertyRuns(standard: number, ci = Math.max(2_000, standard)): number {
  const { CI, PROPERTY_RUNS = CI ? ci : standard } = process.env;
  return Number(PROPERTY_RUNS);
}
