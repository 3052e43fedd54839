-- Add to a counter. A new counter gets the TTL, an existing one keeps its own.
-- KEYS[1]: the counter. ARGV[1]: amount, a whole number. ARGV[2]: TTL in milliseconds.
-- Returns the sum.
local is_new = redis.call('EXISTS', KEYS[1]) == 0
local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
if is_new then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return sum
