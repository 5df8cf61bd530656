-- SPDX-License-Identifier: Apache-2.0
--
-- What is done with the requests of a route, worked out once: which hooks of which plugins run, in
-- order, with their checked configuration, and the numbers that the exchange needs.
local C = require("moongate.api.core")
local bit = require("bit")
local order = require("moongate.hooks.order")

local M = {}

-- Hooks that run in the request stage, in this order, and those with stages of their own.
M.REQUEST_HOOKS = { "rewrite", "access", "balance", "upstream_request" }

local STAGE_OF = {
  request_body = C.MG_STAGE_REQUEST_BODY,
  response = C.MG_STAGE_RESPONSE,
  response_body = C.MG_STAGE_RESPONSE_BODY,
  log = C.MG_STAGE_LOG,
}
-- These wrap what they follow: they run bottom up.
local REVERSED = { response = true, response_body = true }

local DEFAULTS = {
  connect_timeout_ms = 5000,
  send_timeout_ms = 60000,
  read_timeout_ms = 60000,
  tries = 3,
  tries_ms = 0,
  retry_on = { "error", "timeout" },
  body_limit_bytes = 0,
  response_head_limit_bytes = 0,
}

--- What may make another try, by the names that settings have for it.
M.RETRY = {
  error = C.MG_RETRY_ERROR,
  timeout = C.MG_RETRY_TIMEOUT,
  invalid_header = C.MG_RETRY_INVALID_HEADER,
  http_500 = C.MG_RETRY_500,
  http_502 = C.MG_RETRY_502,
  http_503 = C.MG_RETRY_503,
  http_504 = C.MG_RETRY_504,
  http_403 = C.MG_RETRY_403,
  http_404 = C.MG_RETRY_404,
  http_429 = C.MG_RETRY_429,
  non_idempotent = C.MG_RETRY_NON_IDEMPOTENT,
}

local function retry_bits(names)
  local bits = 0
  for _, name in ipairs(names) do
    bits = bit.bor(bits, M.RETRY[name] or 0)
  end
  return bits
end

local function is_idle(instance, hook)
  local needs = instance.plugin.needs
  return needs and not needs(hook, instance.conf)
end

-- Of the log hooks, those that give something back come first: none that waits, or does not come
-- back, may keep it.
local function releasing_first(list)
  local sorted = {}
  for _, releases in ipairs({ true, false }) do
    for _, entry in ipairs(list) do
      if (entry.plugin.releases == true) == releases then
        sorted[#sorted + 1] = entry
      end
    end
  end
  return sorted
end

local function hook_list(instances, name)
  local list = {}
  for _, instance in ipairs(instances) do
    local fn = instance.plugin[name]
    if fn and not is_idle(instance, name) then
      local entry = {
        fn = fn,
        hook = name,
        conf = instance.conf,
        plugin = instance.plugin,
        id = instance.id,
      }
      table.insert(list, REVERSED[name] and 1 or #list + 1, entry)
    end
  end
  if name == "log" then
    list = releasing_first(list)
  end
  return #list > 0 and list or nil
end

local function numbers(plan, settings)
  for key, default in pairs(DEFAULTS) do
    local value = settings[key]
    plan[key] = value == nil and default or value
  end
  plan.retry_on = retry_bits(plan.retry_on)
  plan.buffer_request = settings.buffer_request and 1 or 0
  plan.http10 = settings.http_version == "1.0" and 1 or 0
  plan.no_log = settings.access_log == false and 1 or 0
end

-- Content-Length of a response stays where no hook changes how long its body is.
local function keeps_length(list)
  for _, entry in ipairs(list or {}) do
    if not entry.plugin.keeps_length then
      return 0
    end
  end
  return 1
end

local function add_hooks(plan, instances)
  local stages = 0
  for name, stage in pairs(STAGE_OF) do
    plan[name] = hook_list(instances, name)
    if plan[name] then
      stages = bit.bor(stages, bit.lshift(1, stage))
    end
  end
  for _, name in ipairs(M.REQUEST_HOOKS) do
    plan[name] = hook_list(instances, name)
  end
  plan.stages = stages
  plan.keeps_length = keeps_length(plan.response_body)
  plan.client_hello = hook_list(instances, "client_hello")
end

--- Makes a plan. A fault makes the routes that share it answer 503.
---@param text { plugins: table[]?, settings: table? }  decoded from a snapshot
---@param registry moongate.Registry  plugins of this generation
---@return moongate.Plan
function M.new(text, registry)
  local plan = {}
  local instances = registry:global_instances()
  for _, wanted in ipairs(text.plugins or {}) do
    local instance, err = registry:instance(wanted)
    if not instance then
      return { fault = err, stages = 0 }
    end
    instances[#instances + 1] = instance
  end
  local sorted, err = order.sort(instances)
  if not sorted then
    return { fault = err, stages = 0 }
  end
  numbers(plan, text.settings or {})
  add_hooks(plan, sorted)
  plan.instances = sorted
  return plan
end

return M
