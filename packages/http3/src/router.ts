export { HttpProblem, type ProblemDetails, type ProblemOptions, problem } from "./lib/problem.ts";
export { type Middleware, type Route, type RouteHandler, Router } from "./lib/router.ts";
export type { PathParams } from "./lib/router-path.ts";
