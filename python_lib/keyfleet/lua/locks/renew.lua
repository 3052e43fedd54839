#!lua flags=allow-oom
-- Begin the lease of a holder anew; on a full server, too.
-- ARGV: token, lease in microseconds. Returns 1, or 0 if the token does not hold the lock.
-- include locks/state
local mine = holders[ARGV[1]]
if not mine then return 0 end
put('h', ARGV[1], now + ARGV[2], mine.number, mine.weight)
save()
return 1
