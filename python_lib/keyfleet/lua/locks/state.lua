-- KEYS[1] is a hash with the whole state of a lock: `fence`, the last number that was given; `last`, the last eight tokens that released
-- it; and for each token a field of one kind:
--   h:TOKEN  "until fence weight"   it holds the lock
--   w:TOKEN  "until ticket weight"  it waits; tickets say in which order
--   d:TOKEN  "until 0 0"            it was given up; what is still on its way for it comes too late
-- `until` is in microseconds by the server's clock; what is past it is gone. The key expires an hour after the last of them, so that
-- numbers rise even if the clock goes back a little.
local WAITER, GRANTED, ENDED, REST, MOST = 3000000, 3000000, 60000000, 3600000, 1000
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local fence, last, used, latest = 0, '', 0, now
local kinds = {h = {}, w = {}, d = {}}
local holders, waiters, ended = kinds.h, kinds.w, kinds.d
local changed, gone = {}, {}

local fields = redis.call('HGETALL', KEYS[1])
for n = 1, #fields, 2 do
  local kind = kinds[string.sub(fields[n], 1, 1)]
  if kind then
    local ends, number, weight = string.match(fields[n + 1], '^(%d+) (%d+) (%d+)$')
    ends = tonumber(ends)
    if ends > now then
      kind[string.sub(fields[n], 3)] = {ends = ends, number = tonumber(number), weight = tonumber(weight)}
      latest = math.max(latest, ends)
      if kind == holders then used = used + weight end
    else
      gone[#gone + 1] = fields[n]
    end
  elseif fields[n] == 'last' then
    last = fields[n + 1]
  else
    fence = tonumber(fields[n + 1])
  end
end

local function next_number()
  fence = math.max(fence + 1, now)
  return fence
end

local function put(kind, token, ends, number, weight)
  kinds[kind][token] = {ends = ends, number = number, weight = weight}
  latest = math.max(latest, ends)
  changed[kind .. ':' .. token] = string.format('%.0f %.0f %.0f', ends, number, weight)
end

local function drop(kind, token)
  local found = kinds[kind][token]
  if found then
    if kind == 'h' then used = used - found.weight end
    kinds[kind][token] = nil
    changed[kind .. ':' .. token] = nil
    gone[#gone + 1] = kind .. ':' .. token
  end
  return found ~= nil
end

local function hold(token, lease, weight)
  put('h', token, now + lease, next_number(), weight)
  used = used + weight
end

-- Give the lock to those who wait, in order, as far as it suffices; they confirm it within GRANTED. Returns their tokens.
local function grant(capacity)
  local order, granted = {}, {}
  for token in pairs(waiters) do order[#order + 1] = token end
  table.sort(order, function(a, b) return waiters[a].number < waiters[b].number end)
  for _, token in ipairs(order) do
    local weight = waiters[token].weight
    if used + weight > capacity or #granted == MOST then break end
    drop('w', token)
    hold(token, GRANTED, weight)
    granted[#granted + 1] = token
  end
  return granted
end

local function save()
  for n = 1, #gone, 1000 do
    redis.call('HDEL', KEYS[1], unpack(gone, n, math.min(n + 999, #gone)))
  end
  if next(changed) ~= nil then
    local pairs_of = {}
    for field, value in pairs(changed) do
      pairs_of[#pairs_of + 1] = field
      pairs_of[#pairs_of + 1] = value
    end
    redis.call('HSET', KEYS[1], 'fence', string.format('%.0f', fence), unpack(pairs_of))
    redis.call('PEXPIRE', KEYS[1], math.ceil((latest - now) / 1000) + REST)
  end
end
