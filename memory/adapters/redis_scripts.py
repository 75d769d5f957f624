"""The scripts of the work queue on Redis (`memory.adapters.redis_queue`).

Each is given the keys of one kind of work: the hash of items, the hash of dead letters, the sorted set of workers, the
hash of how often an item was given out and not answered, the streams by number and the owners by shard; and as
arguments the number of shards, the name of the group, and its own.
An item is kept as ``revision stream entry`` under its serial.
"""

from __future__ import annotations

from typing import Final

_HEAD: Final = """
local items, dead, workers, begun = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local shards, group = tonumber(ARGV[1]), ARGV[2]
local function stream(number) return KEYS[5 + tonumber(number)] end
local function owner(shard) return KEYS[5 + 2 * shards + shard] end
local function known(serial)
    local found = redis.call('HGET', items, serial)
    if not found then return nil end
    return string.match(found, '^(%S+) (%S+) (%S+)$')
end
local function leave(number, entry)
    redis.call('XACK', stream(number), group, entry)
    redis.call('XDEL', stream(number), entry)
end
local function add(number, serial, revision, room, tries)
    local entry = redis.call('XADD', stream(number), '*', 'r', room, 's', serial, 'v', revision, 't', tries)
    redis.call('HSET', items, serial, revision .. ' ' .. number .. ' ' .. entry)
end
"""

PUBLISH: Final = (
    _HEAD
    + """
for i = 3, #ARGV, 4 do
    local number, serial, revision, room = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
    local before, where, entry = known(serial)
    if not before or tonumber(before) < tonumber(revision) then
        if before then leave(where, entry) end
        redis.call('HDEL', dead, serial)
        redis.call('HDEL', begun, serial)
        add(number, serial, revision, room, 0)
    end
end
"""
)
"""Stream, serial, revision and room of each item."""

DONE: Final = (
    _HEAD
    + """
for i = 3, #ARGV, 3 do
    local number, entry, serial = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    leave(number, entry)
    local _, _, current = known(serial)
    if current == entry then
        redis.call('HDEL', items, serial)
        redis.call('HDEL', begun, serial)
    end
end
"""
)
"""Stream, entry and serial of each item."""

FAILED: Final = (
    _HEAD
    + """
local number, entry, serial, revision, room, tries, letter = unpack(ARGV, 3)
leave(number, entry)
local _, _, current = known(serial)
if current ~= entry then return 0 end
redis.call('HDEL', begun, serial)
if letter == '' then
    add(number, serial, revision, room, tries)
else
    redis.call('HDEL', items, serial)
    redis.call('HSET', dead, serial, letter)
end
return 1
"""
)
"""Stream, entry, serial, revision, room and tries of an item, and its dead letter when it is one."""

DROP: Final = (
    _HEAD
    + """
local below = tonumber(ARGV[3])
for i = 4, #ARGV do
    local before, where, entry = known(ARGV[i])
    if before and (not below or tonumber(before) < below) then
        leave(where, entry)
        redis.call('HDEL', items, ARGV[i])
        redis.call('HDEL', begun, ARGV[i])
    end
    local letter = redis.call('HGET', dead, ARGV[i])
    if letter and (not below or cjson.decode(letter)[2] < below) then redis.call('HDEL', dead, ARGV[i]) end
end
"""
)
"""The revision below which they go, or nothing for all, and serials."""

BEGUN: Final = (
    _HEAD
    + """
for i = 3, #ARGV do redis.call('HINCRBY', begun, ARGV[i], 1) end
"""
)
"""Serials of items that are given out. Run twice it counts twice, which a limit of many forgives."""

RETURNED: Final = (
    _HEAD
    + """
for i = 3, #ARGV do redis.call('HDEL', begun, ARGV[i]) end
"""
)
"""Serials of items that are given back."""

HOLD: Final = (
    _HEAD
    + """
local me, lease = ARGV[3], tonumber(ARGV[4])
local busy = {}
for i = 5, #ARGV do busy[tonumber(ARGV[i])] = true end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZADD', workers, now + lease, me)
redis.call('ZREMRANGEBYSCORE', workers, '-inf', now)
redis.call('PEXPIRE', workers, 10 * lease)
local fair = math.ceil(shards / redis.call('ZCARD', workers))
local mine, free, count = {}, {}, 0
for shard = 0, shards - 1 do
    local whose = redis.call('GET', owner(shard))
    if whose == me then mine[shard] = true; count = count + 1 end
    if not whose then free[#free + 1] = shard end
end
for shard = shards - 1, 0, -1 do
    if mine[shard] and not busy[shard] and count > fair then
        redis.call('DEL', owner(shard))
        mine[shard] = nil
        count = count - 1
    end
end
for _, shard in ipairs(free) do
    if count < fair then mine[shard] = true; count = count + 1 end
end
local ours = {}
for shard = 0, shards - 1 do
    if mine[shard] then
        redis.call('SET', owner(shard), me, 'PX', lease)
        ours[#ours + 1] = shard
    end
end
return ours
"""
)
"""A worker, for how many milliseconds, and the shards that it is at work on; gives the shards that are its own."""

LEAVE: Final = (
    _HEAD
    + """
redis.call('ZREM', workers, ARGV[3])
for shard = 0, shards - 1 do
    if redis.call('GET', owner(shard)) == ARGV[3] then redis.call('DEL', owner(shard)) end
end
"""
)
"""A worker, which has no shard any more."""
