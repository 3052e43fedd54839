-- Add to a counter; one that did not exist gets a life, one that did keeps its own.
-- KEYS[1]: the counter. ARGV[1]: amount, a whole number. ARGV[2]: life in milliseconds.
-- Returns the sum.
local is_new = redis.call('EXISTS', KEYS[1]) == 0
local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
if is_new then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return sum
