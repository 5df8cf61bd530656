-- SPDX-License-Identifier: Apache-2.0
--
-- With enable-ocsp: what issuers say of certificates is asked of their OCSP responders before it is
-- needed, kept, and put beside the chain of the next snapshot. A chain that comes with a response
-- of its own keeps that.
local ffi = require("ffi")

local C = require("moongate.api.core")
local base64 = require("moongate.api.base64")
local clock = require("moongate.api.clock")
local http = require("moongate.api.http")
local log = require("moongate.api.log")
local task = require("moongate.api.task")
local tasks = require("moongate.api.tasks")

local M = {}

local HOUR, DAY = 3600, 86400
local LOOK_SECONDS = 60
local AGAIN_SECONDS, AGAIN_SECONDS_MAX = 60, HOUR
local AT_ONCE = 4
local ANSWER_BYTES = 65536
local OWN = "-----BEGIN OCSP RESPONSE-----"

local texts = ffi.new("struct mg_text[2]")
local until_s = ffi.new("int64_t[1]")

---@class moongate.Ocsp
---@field known table<string, table>  by chain: { block, due, wait, source, used }
local Ocsp = {}
Ocsp.__index = Ocsp

function M.new()
  return setmetatable({ known = {} }, Ocsp)
end

local function take_text(text)
  local taken = ffi.string(text.data, text.length)
  C.mg_file_free(text)
  return taken
end

-- Where to ask, and what. Nil: nobody answers for this one.
local function question(chain)
  if C.mg_ocsp_question(chain, #chain, texts[0], texts[1]) == 1 then
    return take_text(texts[0]), take_text(texts[1])
  end
end

-- The answer in DER, and when it ends; or nil and why there is none.
local function ask(chain, url, request)
  local response, err = http.request({ method = "POST", url = url, body = request,
    max_body = ANSWER_BYTES, headers = { ["content-type"] = "application/ocsp-request" } })
  if not response then
    return nil, err
  elseif response.status ~= 200 then
    return nil, "status " .. response.status
  end
  local answer = response.body
  local why = C.mg_ocsp_check(chain, #chain, answer, #answer, until_s)
  if why ~= nil then
    return nil, ffi.string(why)
  end
  return answer, tonumber(until_s[0])
end

local function block_of(der)
  local text = base64.encode(der):gsub(("."):rep(64), "%0\n"):gsub("\n$", "")
  return ("%s\n%s\n-----END OCSP RESPONSE-----\n"):format(OWN, text)
end

-- Answers last days: the next one is asked for at half of what is left, or after a day.
local function pause_after(ends, now)
  return math.min(math.max((ends - now) / 2, AGAIN_SECONDS), DAY)
end

-- True when what is sent along changes.
local function renew(chain, entry)
  local now = clock.now()
  local url, request = question(chain)
  if not url then
    entry.due = math.huge
    return false
  end
  local answer, more = ask(chain, url, request)
  if not answer then
    entry.wait = math.min((entry.wait or AGAIN_SECONDS / 2) * 2, AGAIN_SECONDS_MAX)
    entry.due = now + entry.wait
    log.warn("ocsp_failed", { certificate = entry.source, responder = url, error = more })
    return false
  end
  local block = block_of(answer)
  local changed = block ~= entry.block
  entry.block, entry.wait, entry.due = block, nil, now + pause_after(more, now)
  return changed
end

--- Puts the responses that are known into a model; asks soon for those that are not. What no model
--- has any more is forgotten.
---@param model table  its certificates are replaced, not changed
function Ocsp:fill(model)
  local used = {}
  local function with_response(entry)
    local chain = entry.certificate
    if chain:find(OWN, 1, true) then
      return entry
    end
    local known = self.known[chain] or { due = 0, source = entry.source }
    used[chain] = known
    return known.block and { names = entry.names, source = entry.source, key = entry.key,
      certificate = chain .. "\n" .. known.block } or entry
  end
  if model.typed_settings["enable-ocsp"] then
    for i, entry in ipairs(model.certificates) do
      model.certificates[i] = with_response(entry)
    end
    model.default_certificate = model.default_certificate
      and with_response(model.default_certificate)
  end
  self.known = used
  self:wake()
end

function Ocsp:wake()
  if self.waiter then
    task.unpark(self.waiter)
  end
end

-- Asks for all that is due, some at a time.
local function round(self)
  local now, running, turns, changed = clock.now(), {}, tasks.semaphore(AT_ONCE), false
  for chain, entry in pairs(self.known) do
    if entry.due <= now then
      entry.due = now + LOOK_SECONDS -- not again while it is under way
      running[#running + 1] = task.spawn(function()
        turns:acquire()
        local ok, result = pcall(renew, chain, entry)
        turns:release()
        if not ok then
          log.error("ocsp_failed", { certificate = entry.source, error = result })
        end
        changed = changed or ok and result
      end)
    end
  end
  for _, one in ipairs(running) do
    task.join(one)
  end
  return changed
end

--- Goes on for ever; calls `on_change` when a model is to be filled anew.
---@param on_change fun()
function Ocsp:run(on_change)
  while true do
    if round(self) then
      on_change()
    end
    self.waiter = task.current()
    task.park(LOOK_SECONDS)
    self.waiter = nil
  end
end

return M
