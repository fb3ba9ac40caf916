export {
  checkCount,
  checkDuration,
  checkFunction,
  checkOneOf,
  checkPositive,
  checkRatio,
  describe,
} from "./lib/check.ts";
