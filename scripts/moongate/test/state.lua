-- SPDX-License-Identifier: Apache-2.0
--
-- What tests have open, and what is to be done around each: the runner of specs tells of them here.
local M = {}

local open = {} -- object -> true: closed at the end of its file
local resets = {} -- functions that run after each test
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

function M.test_ended(status)
  if status ~= "success" and status ~= "pending" then
    for object in pairs(dumps) do
      io.stderr:write(object:dump())
    end
  end
  for _, reset in ipairs(resets) do
    reset()
  end
end

--- Closes what is open.
function M.close()
  for object in pairs(open) do
    open[object], dumps[object] = nil, nil
    object:close()
  end
end

--- How long a test waits for something that must happen, in seconds.
function M.patience()
  return (tonumber(os.getenv("MG_TEST_TIMEOUT_MS")) or 10000) / 1000
end

return M
