export {
  type ConformanceCase,
  type IdempotencyStoreFixture,
  idempotencyStoreConformance,
} from "./lib/idempotency-conformance.ts";
