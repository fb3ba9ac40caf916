// How many random schedules a property test tries.

/** `standard`, which takes a second at most, or what the environment says: PROPERTY_RUNS=100000 for a night. */
export function propertyRuns(standard: number): number {
  const { PROPERTY_RUNS = standard } = process.env;
  return Number(PROPERTY_RUNS);
}
