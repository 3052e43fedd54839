-- include records
-- Remove all tokens of a family, and return how many could still be used.
local function drop_family(family)
  local usable = 0
  local fields = redis.call('HGETALL', KEYS[1])
  for n = 1, #fields, 2 do
    local record = unpacked(fields[n + 1])
    if value(record, 'family') == family then
      if find(fields[n]) and not value(record, 'used') then usable = usable + 1 end
      drop(fields[n])
    end
  end
  settle()
  return usable
end
