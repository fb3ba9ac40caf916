// What the memory of a cache in tiers holds under a key.
import type { TagRecord } from "./tiered-tags.ts";

/** A tag as it was when the value was made. */
export interface TagSeen {
  readonly record: TagRecord;
  readonly version: number;
}

export class TieredEntry<V> {
  /** `undefined` where it is known that there is nothing. */
  readonly value: V | undefined;
  readonly isNothing: boolean;
  /** Milliseconds of the cache's clock. */
  freshUntil: number;
  /** Until when the value may be given while another one is fetched. Not before `freshUntil`. */
  staleUntil: number;
  /** From when on the value is fetched again, though it is fresh. Not after `freshUntil`. */
  refreshAt: number;
  /** When no new try to fetch it is to be made before, as the last one has failed. */
  retryAt = 0;
  /** Of the messages of other processes when it was read or made; with another one, some may have been lost since. */
  readonly epoch: number;
  /** When it was made, see the header of what is written for tiers. */
  readonly stamp: number;
  readonly tags: readonly TagSeen[] | undefined;

  constructor(made: Omit<TieredEntry<V>, "retryAt">) {
    this.value = made.value;
    this.isNothing = made.isNothing;
    this.freshUntil = made.freshUntil;
    this.staleUntil = made.staleUntil;
    this.refreshAt = made.refreshAt;
    this.epoch = made.epoch;
    this.stamp = made.stamp;
    this.tags = made.tags;
  }
}

/** What has become of the tags since: nothing, one has expired, or one was invalidated. */
export function tagsOf(entry: { readonly tags: readonly TagSeen[] | undefined }): "same" | "expired" | "invalid" {
  let state: "same" | "expired" = "same";
  if (entry.tags === undefined) return state;
  for (const { record, version } of entry.tags) {
    if (record.version === version) continue;
    if (version < record.hard) return "invalid";
    state = "expired";
  }
  return state;
}

/** Whether nothing has become of them: for hits, where every step counts. */
export function hasSameTags(tags: readonly TagSeen[]): boolean {
  for (let index = 0; index < tags.length; index++) {
    const seen = tags[index] as TagSeen; // in bounds
    if (seen.record.version !== seen.version) return false;
  }
  return true;
}
