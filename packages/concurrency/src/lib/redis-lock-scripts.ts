// What happens on the server when somebody asks for a lease, prolongs it or gives it back: one atomic step each.
//
// Keys of a semaphore: its holders (tokens by the time their lease ends), its queue (tokens by the time they came), when
// each in the queue will be taken for gone, and the last fencing number. All times are the server's.
import { RedisScript } from "./redis-script.ts";

/**
 * Grants a lease if a permit is free and nobody is ahead; else, with `patience` in milliseconds, keeps a place in the
 * queue for that long. Who asks again with the same token holds one permit only, and its place stays.
 *
 * The fencing number is above the last one, and at least the time in microseconds: it grows even when Redis has lost
 * everything.
 * Returns: fencing number or 0, how many are ahead, ms until a lease ends.
 */
export const acquireScript = new RedisScript(`
local holders, queue, patienceEnds, lastFence = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local token, ttl, permits, patience = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]
local now = math.floor(us / 1000)
redis.call('ZREMRANGEBYSCORE', holders, '-inf', now)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', patienceEnds, '-inf', now)) do
  redis.call('ZREM', queue, gone)
  redis.call('ZREM', patienceEnds, gone)
end
local free = permits - redis.call('ZCARD', holders)
if redis.call('ZSCORE', holders, token) then free = free + 1 end
local place = redis.call('ZRANK', queue, token)
local ahead = place or redis.call('ZCARD', queue)
if ahead < free then
  local fence = math.max((tonumber(redis.call('GET', lastFence)) or 0) + 1, us)
  redis.call('SET', lastFence, string.format('%.0f', fence), 'PX', 604800000)
  redis.call('ZADD', holders, now + ttl + 1, token)
  redis.call('PEXPIREAT', holders, redis.call('ZRANGE', holders, -1, -1, 'WITHSCORES')[2])
  redis.call('ZREM', queue, token)
  redis.call('ZREM', patienceEnds, token)
  return { fence, 0, 0 }
end
if patience > 0 then
  if not place then redis.call('ZADD', queue, us, token) end
  redis.call('ZADD', patienceEnds, now + patience, token)
  redis.call('PEXPIRE', queue, patience)
  redis.call('PEXPIRE', patienceEnds, patience)
end
local first = redis.call('ZRANGE', holders, 0, 0, 'WITHSCORES')[2]
return { 0, ahead, first and first - now or 0 }
`);

/** Prolongs a lease that has not ended. Returns whether it did. */
export const renewScript = new RedisScript(`
local time = redis.call('TIME')
local now = math.floor((time[1] * 1000000 + time[2]) / 1000)
local ends = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]))
if not ends or ends <= now then return { 0 } end
redis.call('ZADD', KEYS[1], now + ARGV[2] + 1, ARGV[1])
redis.call('PEXPIREAT', KEYS[1], redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2])
return { 1 }
`);

/** Gives back the lease of a token, or its place in the queue. Returns whether it had a lease. */
export const releaseScript = new RedisScript(`
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return { redis.call('ZREM', KEYS[1], ARGV[1]) }
`);
