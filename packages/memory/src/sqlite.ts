export { sqliteTier } from "./lib/sqlite-tier.ts";
export type { SqliteTierReset } from "./lib/sqlite-tier-open.ts";
export type { SqliteTier, SqliteTierEvent, SqliteTierOptions, SqliteTierStats } from "./lib/sqlite-tier-options.ts";
