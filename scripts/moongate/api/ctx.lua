-- SPDX-License-Identifier: Apache-2.0
--
-- ctx: one request as its hooks see it. What nearly every hook uses is made at once, the rest when
-- it is first asked for.
local ffi = require("ffi")

local C = require("moongate.api.core")
local errors = require("moongate.api.errors")
local fields = require("moongate.api.fields")
local json = require("moongate.api.json")
local log = require("moongate.api.log")
local request_part = require("moongate.api.request")
local response_part = require("moongate.api.response")
local task = require("moongate.api.task")
local upstream_part = require("moongate.api.upstream")
local variables = require("moongate.api.variables")
local vm = require("moongate.api.vm")

local M = {}

local Ctx = {}

local ANSWER, ABORT = 2, 3

local function string_of(text)
  return text.data ~= nil and ffi.string(text.data, text.length) or nil
end

-- --- parts -------------------------------------------------------------------

-- What is read as a field: ctx.client.ip and so on.
local CLIENT = {
  ip = function(record)
    return string_of(record.client_ip)
  end,
  peer_ip = function(record)
    return string_of(record.peer_ip)
  end,
  port = function(record)
    return record.client_port
  end,
  protocol = function(record)
    return record.version == 20 and "h2" or record.version == 10 and "http/1.0" or "http/1.1"
  end,
  secure = function(record)
    return record.tls == 1
  end,
  stream_id = function(record)
    return record.stream_id > 0 and record.stream_id or nil
  end,
}

-- Of ctx.client.tls.
local TLS = {
  version = C.MG_TLS_VERSION,
  cipher = C.MG_TLS_CIPHER,
  sni = C.MG_TLS_SNI,
  alpn = C.MG_TLS_ALPN,
  verify = C.MG_TLS_VERIFY,
  accepted = C.MG_TLS_ACCEPTED,
  subject = C.MG_TLS_SUBJECT,
  issuer = C.MG_TLS_ISSUER,
  serial = C.MG_TLS_SERIAL,
  fingerprint = C.MG_TLS_FINGERPRINT,
  fingerprint_sha256 = C.MG_TLS_FINGERPRINT_SHA256,
  certificate = C.MG_TLS_CERTIFICATE,
}

local tls_text = ffi.new("struct mg_text")
local Tls = {}

function Tls.__index(self, key)
  local fact = key == "resumed" and C.MG_TLS_RESUMED or TLS[key]
  fields.check(self)
  if fact and C.mg_client_tls(self.record, self.generation, fact, tls_text) == 1 then
    local text = ffi.string(tls_text.data, tls_text.length)
    return key ~= "resumed" and text or text == "r"
  end
end

local Client = {}

function Client.__index(self, key)
  if key == "tls" then
    fields.check(self)
    return self.record.tls == 1
        and setmetatable({ record = self.record, generation = self.generation }, Tls)
      or nil
  end
  local read = CLIENT[key]
  if read then
    fields.check(self)
    return read(self.record)
  end
end

function Client.__newindex(_, key)
  error(("ctx.client.%s is read-only"):format(key), 2)
end

local function client(self)
  return setmetatable({ record = self.record, generation = self.generation }, Client)
end

local Log = {}
for _, level in ipairs({ "debug", "info", "warn", "error" }) do
  Log[level] = function(self, message, extra)
    local all = { plugin = self.ctx.plugin_name, request = self.ctx.request.id }
    for key, value in pairs(extra or {}) do
      all[key] = value
    end
    log[level](message, all)
  end
end
Log.__index = Log

local PARTS = {
  response = function(self)
    return response_part.new(self.record, self.generation)
  end,
  client = client,
  shared = function()
    return {}
  end,
  log = function(self)
    return setmetatable({ ctx = self }, Log)
  end,
}

-- As they are now: they go on while the request does.
local function timings(self)
  fields.check(self)
  local record = self.record
  return {
    total = record.total_s,
    connect = record.connect_s >= 0 and record.connect_s or nil,
    first_byte = record.first_byte_s >= 0 and record.first_byte_s or nil,
    attempts = record.attempts,
    bytes_in = tonumber(record.bytes_in),
    bytes_out = tonumber(record.bytes_out),
  }
end

function Ctx.__index(self, key)
  local method = Ctx[key]
  if method then
    return method
  elseif key == "timings" then
    return timings(self)
  end
  local make = PARTS[key]
  if make then
    local part = make(self)
    rawset(self, key, part)
    return part
  end
end

-- --- variables ---------------------------------------------------------------

--- The value of one of nginx's variables, such as `remote_addr` or `http_x_tenant`; "" when unset.
---@param name string  without `$`
---@return string
function Ctx:var(name)
  fields.check(self)
  return variables.value(self.record, self.generation, name)
end

--- Fills in a template, of mg.template.parse.
---@param parts { text: string?, var: string? }[]
---@return string
function Ctx:template(parts)
  fields.check(self)
  return variables.fill(self.record, self.generation, parts)
end

-- --- who it is ---------------------------------------------------------------

--- Tells the plugins that follow who the client is, as ctx.consumer: a copy, since plugins keep one
--- table for all requests of a consumer.
---@param consumer { id: string, username: string?, groups: string[]? }
---@param credential any?  how it was found out
function Ctx:authenticate(consumer, credential)
  fields.check(self)
  local own = {}
  for key, value in pairs(consumer) do
    own[key] = value
  end
  own.credential = credential
  rawset(self, "consumer", own)
end

---@return boolean
function Ctx:is_anonymous()
  return rawget(self, "consumer") == nil
end

-- --- control -----------------------------------------------------------------

local function put_body(self, body)
  if type(body) == "table" then
    fields.set(self, fields.RESPONSE, "Content-Type", "application/json", 0)
    body = json.encode(body)
  elseif not fields.get(self, fields.RESPONSE, "Content-Type", 0) then
    fields.set(self, fields.RESPONSE, "Content-Type", "text/plain; charset=utf-8", 0)
  end
  body = tostring(body)
  fields.must(C.mg_respond_body(self.record, self.generation, body, #body))
end

local function put_headers(self, headers)
  for name, value in pairs(headers) do
    if type(value) == "table" then
      for _, one in ipairs(value) do
        fields.set(self, fields.RESPONSE, name, one, 1)
      end
    else
      fields.set(self, fields.RESPONSE, name, value, 0)
    end
  end
end

--- Answers the client and ends the hook: nothing after it runs.
---@param status integer  200 to 599
---@param body string|table|nil  a table is sent as JSON
---@param headers table<string, string|string[]>?
function Ctx:respond(status, body, headers)
  if C.mg_task_serves(vm, self.record) == 0 then
    error("ctx:respond works in the hooks of its own request only", 2)
  end
  self.ends = true -- should anything fail from here on, the request does not pass
  if type(status) ~= "number" or status % 1 ~= 0 or status < 200 or status > 599 then
    error(("ctx:respond: the status is a whole number from 200 to 599, not %s"):format(
      tostring(status)), 2)
  end
  local result = C.mg_respond(self.record, self.generation, status, C.MG_SOURCE_PLUGIN)
  if result == errors.STATE then
    error("the answer is on its way already; ctx:respond belongs in a hook before the response's "
      .. "body", 2)
  end
  fields.must(result)
  put_headers(self, headers or {})
  if body then
    put_body(self, body)
  end
  C.mg_task_end(vm, ANSWER)
  task.halt()
end

---@param location string
---@param status integer?  302 unless given
function Ctx:redirect(location, status)
  self:respond(status or 302, nil, { Location = location })
end

--- Cuts the client's connection without an answer.
---@param reason string?  for the log
function Ctx:abort(reason)
  fields.check(self)
  if C.mg_task_serves(vm, self.record) == 0 then
    error("ctx:abort works in the hooks of its own request only", 2)
  end
  self.ends = true
  log.info("request_aborted", { reason = reason, plugin = self.plugin_name })
  C.mg_task_end(vm, ABORT)
  task.halt()
end

--- Counts that a limit was gone over, and writes the line `limit_exceeded`, of which repeats are
--- limited.
---@param limit string  its name on the page /metrics
function Ctx:limit_exceeded(limit)
  fields.check(self)
  C.mg_count_limit(vm, limit, #limit)
  self.log:warn("limit_exceeded", {
    limit = limit,
    client = self.client.ip,
    host = self.request.host,
  })
end

--- Whether the client has left.
---@return boolean
function Ctx:is_disconnected()
  return fields.must(C.mg_request_gone(self.record, self.generation)) == 1
end

---@param record ffi.cdata*  struct mg_request *
---@param generation integer
function M.new(record, generation)
  local ctx = {
    record = record,
    generation = generation,
    plugin_name = false,
    running = false,
    ends = false, -- a hook has begun to answer, or to cut the connection
    request = request_part.new(record, generation),
    upstream = false,
  }
  ctx.upstream = upstream_part.new(ctx)
  return setmetatable(ctx, Ctx)
end

return M
