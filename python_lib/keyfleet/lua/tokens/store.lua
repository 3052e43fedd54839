-- Store a token, the first of its family. ARGV: digest, TTL in milliseconds, then names and values of its record.
-- Returns when it expires, or nil if there is one with this digest.
-- include records
local digest, ttl = ARGV[1], tonumber(ARGV[2])
if find(digest) then return nil end
local record = {'family', digest, 'ttl', ARGV[2]}
for n = 3, #ARGV do record[#record + 1] = ARGV[n] end
put(digest, record, now + ttl)
settle()
return now + ttl
