export {
  type SqliteIdempotency,
  type SqliteIdempotencyOptions,
  sqliteIdempotency,
} from "./lib/idempotency-sqlite.ts";
