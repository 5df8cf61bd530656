-- SPDX-License-Identifier: Apache-2.0
--
-- The admin listener: requests of the control thread's own exchanges, answered here.
local C = require("moongate.api.core")
local ctx_object = require("moongate.api.ctx")
local errors = require("moongate.api.errors")
local explain = require("moongate.explain")
local json = require("moongate.api.json")
local log = require("moongate.api.log")
local metrics = require("moongate.admin.metrics")
local process = require("moongate.control.process")
local url = require("moongate.api.url")
local vm = require("moongate.api.vm")

local M = {}

local ANSWER, GO_ON = 2, 0
local METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

local gateway
local is_for_probes = false

--- Begins to answer for `served`, a moongate.control.gateway. `probes_only`: nothing of its
--- configuration, as anybody may ask.
---@param served table
---@param probes_only boolean?
function M.serve(served, probes_only)
  gateway, is_for_probes = served, probes_only
end

local pages = {}

pages["/healthz"] = function(ctx)
  ctx:respond(200, "ok\n")
end

pages["/readyz"] = function(ctx)
  if process.is_ready() then
    ctx:respond(200, "ready\n")
  end
  ctx:respond(503, process.is_stopping() and "stopping\n"
    or "not ready: the first snapshot is not served yet\n")
end

pages["/metrics"] = function(ctx)
  ctx:respond(200, metrics.page(gateway), { ["Content-Type"] = METRICS_TYPE })
end

local function tell(ctx, page)
  ctx:respond(200, json.encode(page, true), { ["Content-Type"] = "application/json" })
end

pages["/snapshot"] = function(ctx)
  local summary = gateway and gateway.summary
  if not summary then
    ctx:respond(503, "no snapshot yet\n")
  end
  local page = { serves = process.serves(), health = json.array(gateway.health:states()) }
  for key, value in pairs(summary) do
    page[key] = value
  end
  tell(ctx, page)
end

local function parameters(query)
  local list = { header = {} }
  for pair in (query or ""):gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=?(.*)$")
    value = url.unescape((value:gsub("%+", " ")))
    if name == "header" then
      table.insert(list.header, value)
    else
      list[name] = value
    end
  end
  return list
end

pages["/explain"] = function(ctx)
  local subject = gateway and gateway:explainable()
  if not subject then
    ctx:respond(503, "no snapshot yet\n")
  end
  local asked = parameters(ctx.request.query_string)
  if not asked.url then
    ctx:respond(400, "say /explain?method=GET&url=http://host/path&header=Name:%20value\n")
  end
  local explained, err =
    explain.explain(subject, asked.method or "GET", asked.url, asked.header, asked.client)
  if not explained then
    ctx:respond(400, err .. "\n")
  end
  tell(ctx, explained)
end

-- Pages that tell of the configuration.
local TOLD = { ["/snapshot"] = true, ["/explain"] = true }

local function answer(request, generation)
  local ctx = ctx_object.new(request, generation)
  local page = pages[ctx.request.path]
  if not page then
    ctx:respond(404, "there are /healthz, /readyz, /metrics, /snapshot and /explain\n")
  elseif is_for_probes and TOLD[ctx.request.path] then
    ctx:respond(404, "the port of --healthz-port does not tell of the configuration; use --admin\n")
  end
  page(ctx)
end

local requests = {}

--- Called by C for each stage of an admin request.
function M.dispatch(stage, slot)
  if stage ~= C.MG_STAGE_REQUEST then
    return GO_ON
  end
  local request = requests[slot] or C.mg_request_at(vm, slot)
  requests[slot] = request
  local ok, err = xpcall(answer, debug.traceback, request, request.generation)
  if not ok then
    log.error("admin_failed", { error = err })
    request.endpoint, request.error = -1, errors.SCRIPT
    return GO_ON
  end
  return ANSWER
end

return M
