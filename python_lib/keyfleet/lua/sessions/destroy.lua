#!lua flags=allow-oom
-- End a session. ARGV[1]: digest. Returns its record as `get` does, or nil if there was none.
-- include records
local record, expires = find(ARGV[1])
drop(ARGV[1])
settle()
return record and shown(record, expires)
