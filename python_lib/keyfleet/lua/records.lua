-- What one user has, sessions or tokens, is two keys of one slot: KEYS[1], a hash of records by the digest of the secret, and KEYS[2], a sorted
-- set of when each expires, in milliseconds by the server's clock. Both expire with the last of them; every step that writes removes some
-- that have expired before. A record is a list of names and values, each written as its length, a colon and its bytes.
local PURGED = 100
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function packed(record)
  local parts = {}
  for n = 1, #record do parts[n] = #record[n] .. ':' .. record[n] end
  return table.concat(parts)
end

local function unpacked(text)
  local record, at = {}, 1
  while at <= #text do
    local colon = string.find(text, ':', at, true)
    local length = tonumber(string.sub(text, at, colon - 1))
    record[#record + 1] = string.sub(text, colon + 1, colon + length)
    at = colon + length + 1
  end
  return record
end

local function value(record, name)
  for n = 1, #record, 2 do
    if record[n] == name then return record[n + 1] end
  end
  return nil
end

local function set(record, name, text)
  for n = 1, #record, 2 do
    if record[n] == name then
      record[n + 1] = text
      return
    end
  end
  record[#record + 1] = name
  record[#record + 1] = text
end

local function unset(record, name)
  for n = 1, #record, 2 do
    if record[n] == name then
      table.remove(record, n)
      table.remove(record, n)
      return
    end
  end
end

-- Returns the record and when it expires; nil if there is none, or it has expired.
local function find(digest)
  local expires = tonumber(redis.call('ZSCORE', KEYS[2], digest) or 0)
  local text = expires > now and redis.call('HGET', KEYS[1], digest)
  if not text then return nil end
  return unpacked(text), expires
end

local function put(digest, record, expires)
  redis.call('HSET', KEYS[1], digest, packed(record))
  redis.call('ZADD', KEYS[2], string.format('%.0f', expires), digest)
end

local function drop(digest)
  redis.call('HDEL', KEYS[1], digest)
  return redis.call('ZREM', KEYS[2], digest)
end

-- Remove what has expired, and let the keys expire with the last session.
local function settle()
  local old = redis.call('ZRANGE', KEYS[2], '-inf', now, 'BYSCORE', 'LIMIT', 0, PURGED)
  if #old > 0 then
    redis.call('HDEL', KEYS[1], unpack(old))
    redis.call('ZREM', KEYS[2], unpack(old))
  end
  local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
  if #last > 0 then
    redis.call('PEXPIREAT', KEYS[1], last[2])
    redis.call('PEXPIREAT', KEYS[2], last[2])
  end
end

local function touch(digest, record, ttl)
  set(record, 'last', string.format('%.0f', now))
  put(digest, record, now + ttl)
  settle()
  return now + ttl
end

-- What the caller gets: when it expires, and names and values.
local function shown(record, expires)
  local reply = {expires}
  for n = 1, #record do reply[n + 1] = record[n] end
  return reply
end
