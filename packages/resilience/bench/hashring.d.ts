// The package has no types of its own.
declare module "hashring" {
  export default class HashRing {
    constructor(servers: readonly string[]);
    get(key: string): string | undefined;
  }
}
