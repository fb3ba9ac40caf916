// What breakers in several processes tell one another: a suggestion, never an order.

/** Carries the news of open circuits between processes, as `sharedBreakerHints` of `@proj/resilience/redis` does. */
export interface BreakerHints {
  /**
   * Called by the breaker when it is made. From then on `onOpen(key)` may be called whenever enough others have found the
   * dependency of `key` ill; a closed circuit then opens, as if it had tripped itself.
   */
  connect(onOpen: (key: string | undefined) => void): void;
  /** A circuit of this process has opened by its own experience, and will for `openMs` let nobody through. Must not throw. */
  opened(key: string | undefined, openMs: number): void;
  /** A circuit of this process has closed by its own experience. Must not throw. */
  closed(key: string | undefined): void;
  /** A call begins: a chance to ask for news, without waiting for them. Must be cheap and must not throw. */
  touch(): void;
}
