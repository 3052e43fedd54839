-- Return when a token that was not rotated expires, and names and values of its record; or nil. ARGV[1]: digest.
-- include records
local record, expires = find(ARGV[1])
if not record or value(record, 'used') then return nil end
return shown(record, expires)
