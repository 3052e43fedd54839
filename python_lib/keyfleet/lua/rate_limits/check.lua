-- Consume from all limits of one subject, or from none of them. The server's clock counts, in microseconds.
-- KEYS[n]: the state of limit n: three numbers as little-endian doubles, which cost half as much as texts, kept no longer than they matter.
-- ARGV[1]: cost, at least 1. ARGV[2]: 1 to consume, 0 to read only. Then five for each limit: algorithm (gcra, fixed, sliding),
--   capacity, window, and for gcra the window and the limit without their common divisor.
-- Returns the time, and for each limit: 1 if it admits the cost, what remains, when to retry (0 if admitted) and when it is full again,
--   the last two as microseconds from now.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
-- State from further ahead was written by another clock, before a failover: it would refuse until this clock gets there.
local AHEAD = now + 1000000
local cost, consumes = tonumber(ARGV[1]), ARGV[2] == '1'

-- Each returns: admitted, remains, retry, full, and the new state.

-- GCRA as the continuous-state leaky bucket of ITU-T I.371, annex A: level falls by `rate` each microsecond, and a cost of 1 adds `unit`.
local function gcra(n, spends, level, since, _)
  local at = 5 * n
  local size, unit, rate = ARGV[at - 1] * ARGV[at + 1], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  if since > AHEAD then level = 0 end
  level = math.max(0, level - math.max(0, now - since) * rate)
  local raised = level + cost * unit
  local admitted = raised <= size
  if admitted and spends then level = raised end
  local retry = admitted and 0 or math.ceil((raised - size) / rate)
  return admitted, math.floor((size - level) / unit), retry, math.ceil(level / rate), level, now, 0
end

-- A window begins with the first cost after the last one ended.
local function fixed(n, spends, count, start, _)
  local capacity, window = tonumber(ARGV[5 * n - 1]), tonumber(ARGV[5 * n])
  if now >= start + window or start > AHEAD then count, start = 0, now end
  local admitted = count + cost <= capacity
  if admitted and spends then count = count + cost end
  local left = count > 0 and start + window - now or 0
  return admitted, math.max(0, capacity - count), admitted and 0 or left, left, count, start, 0
end

-- Two windows; of the former, the part counts that the sliding one still covers, as if its costs had come evenly.
local function sliding(n, spends, current, former, number)
  local capacity, window = tonumber(ARGV[5 * n - 1]), tonumber(ARGV[5 * n])
  local present = math.floor(now / window)
  local past = now - present * window
  if number == present - 1 then
    former, current = current, 0
  elseif number ~= present then
    former, current = 0, 0
  end
  local size, covered = capacity * window, former * (window - past)
  local admitted = covered + (current + cost) * window <= size
  local retry = 0
  if admitted then
    if spends then current = current + cost end
  elseif current + cost <= capacity then
    retry = math.ceil(window - past - (capacity - current - cost) * window / former)
  else
    retry = math.ceil(2 * window - past - (capacity - cost) * window / current)
  end
  local full = current > 0 and 2 * window - past or former > 0 and window - past or 0
  return admitted, math.max(0, math.floor((size - covered - current * window) / window)), retry, full, current, former, present
end

local checks = {gcra = gcra, fixed = fixed, sliding = sliding}

local function check(n, spends)
  local state = redis.call('GET', KEYS[n])
  local a, b, c = 0, 0, 0
  if state and #state == 24 then a, b, c = struct.unpack('<ddd', state) end
  return checks[ARGV[5 * n - 2]](n, spends, a, b, c)
end

local function checked(spends)
  local reply, states, all = {now}, {}, true
  for n = 1, #KEYS do
    local admitted, remains, retry, full, a, b, c = check(n, spends)
    all = all and admitted
    local last = #reply
    reply[last + 1], reply[last + 2], reply[last + 3], reply[last + 4] = admitted and 1 or 0, remains, retry, full
    states[n] = {struct.pack('<ddd', a, b, c), math.max(1, math.ceil(full / 1000))}
  end
  return reply, states, all
end

local reply, states, all = checked(consumes)
if consumes and all then
  for n = 1, #KEYS do
    redis.call('SET', KEYS[n], states[n][1], 'PX', states[n][2])
  end
elseif consumes and #KEYS > 1 then
  reply = checked(false)
end
return reply
