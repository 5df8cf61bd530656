-- SPDX-License-Identifier: Apache-2.0
--
-- What tests have open, and what is to be done around each: the runner of specs tells of them here.
local M = {}

local open = {} -- object -> true: closed at the end of its file
local resets = {} -- functions that run after each test
local endings = {}
local dumps = {} -- objects that have something to say when a test fails

--- Closes `object` by its method `close` when the spec's file is over.
function M.keep(object)
  open[object] = true
  return object
end

function M.forget(object)
  open[object], dumps[object] = nil, nil
end

--- `object:dump()` gives the text that is printed after a failed test.
function M.dump_on_failure(object)
  dumps[object] = true
end

---@param fn fun()
function M.after_each(fn)
  resets[#resets + 1] = fn
end

--- `fn` runs when all is over.
---@param fn fun()
function M.at_exit(fn)
  endings[#endings + 1] = fn
end

function M.exit()
  M.close()
  for _, ending in ipairs(endings) do
    ending()
  end
end

function M.test_ended(status)
  if status ~= "success" and status ~= "pending" then
    for object in pairs(dumps) do
      dumps[object] = nil -- once is enough
      io.stderr:write(object:dump())
    end
  end
  local failure
  for _, reset in ipairs(resets) do
    local ok, err = pcall(reset)
    failure = failure or not ok and err
  end
  if failure then
    error(failure, 0)
  end
end

--- Closes what is open; raises for the first that fails, once all are closed.
function M.close()
  local failure
  for object in pairs(open) do
    open[object], dumps[object] = nil, nil
    local ok, err = pcall(object.close, object)
    failure = failure or not ok and err
  end
  if failure then
    error(failure, 0)
  end
end

--- How long a test waits for something that must happen, in seconds.
function M.patience()
  return (tonumber(os.getenv("MG_TEST_TIMEOUT_MS")) or 10000) / 1000
end

return M
