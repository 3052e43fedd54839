#!lua flags=allow-oom
-- Give a lock, or a place in its line, back; the next ones in line get it. A full server takes it, too.
-- ARGV: token, capacity, 1 if an acquisition with this token may still be on its way.
-- Returns 1 if the token held the lock, also if an attempt whose reply was lost has released it, else 0; behind it, the tokens of those who have the lock now and wait for a word.
-- include locks/state
local held = drop('h', ARGV[1])
if held then
  changed['last'] = string.sub(ARGV[1] .. ' ' .. last, 1, 8 * (#ARGV[1] + 1))
elseif string.find(last, ARGV[1], 1, true) then
  held = true
end
drop('w', ARGV[1])
if ARGV[3] == '1' then put('d', ARGV[1], now + ENDED, 0, 0) end
local reply = grant(tonumber(ARGV[2]))
save()
table.insert(reply, 1, held and 1 or 0)
return reply
