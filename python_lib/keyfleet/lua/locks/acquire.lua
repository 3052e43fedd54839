-- Take a lock, or a place in its line. Running it again with the same token finds what the first run took.
-- ARGV: token, lease in microseconds, weight, capacity, 1 to wait in line.
-- Returns 1 and the fencing number; or 0 and the microseconds after which to ask again; or -1 if the token was given up before. Behind
-- these two, the tokens of those who have the lock now and wait for a word.
-- include locks/state
local token, lease, weight, capacity = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if ended[token] then return {-1, 0} end

local granted = {}
if holders[token] then
  put('h', token, now + lease, holders[token].number, weight)
elseif next(waiters) == nil and used + weight <= capacity then
  hold(token, lease, weight)
else
  if waiters[token] then
    put('w', token, now + WAITER, waiters[token].number, weight)
  elseif ARGV[5] == '1' then
    put('w', token, now + WAITER, next_number(), weight)
  end
  granted = grant(capacity)
  if holders[token] then put('h', token, now + lease, holders[token].number, weight) end
end
save()

local reply = {1, 0}
if holders[token] then
  reply[2] = holders[token].number
else
  local first = now + WAITER
  for _, kind in ipairs({holders, waiters}) do
    for other, found in pairs(kind) do
      if other ~= token then first = math.min(first, found.ends) end
    end
  end
  reply = {0, first - now}
end
for _, other in ipairs(granted) do
  if other ~= token then reply[#reply + 1] = other end
end
return reply
