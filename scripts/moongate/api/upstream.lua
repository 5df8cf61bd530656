-- SPDX-License-Identifier: Apache-2.0
--
-- ctx.upstream: the request as it will be sent, and where to.
local ffi = require("ffi")

local C = require("moongate.api.core")
local fields = require("moongate.api.fields")
local url = require("moongate.api.url")
local values = require("moongate.api.values")

local M = {}

local Upstream = {}
Upstream.__index = Upstream

local text = ffi.new("struct mg_text")

local function target(self)
  fields.must(C.mg_upstream_target(self.record, self.generation, text))
  return ffi.string(text.data, text.length)
end

local function set_target(self, value)
  fields.must(C.mg_upstream_set_target(self.record, self.generation, value, #value))
end

--- The request target as it stands: path and query, encoded.
---@return string
function Upstream:target()
  return target(self)
end

--- Sets path and query as they go on the wire.
---@param value string
function Upstream:set_target(value)
  set_target(self, value)
end

--- Sets the path; what a path may not hold is encoded, `%` too. The query stays.
---@param path string
function Upstream:set_path(path)
  local query = target(self):match("%?.*$") or ""
  set_target(self, url.escape_path(path) .. query)
end

--- Sets the query as it goes on the wire; nil or "" removes it.
---@param query string?
function Upstream:set_query(query)
  local path = target(self):match("^[^?]*")
  set_target(self, query and query ~= "" and path .. "?" .. query or path)
end

---@param name string
---@param value string
function Upstream:add_query(name, value)
  local now = target(self)
  local mark = now:find("?", 1, true) and "&" or "?"
  set_target(self, now .. mark .. url.escape(name) .. "=" .. url.escape(tostring(value)))
end

---@param name string
function Upstream:remove_query(name)
  local path, query = target(self):match("^([^?]*)%??(.*)$")
  local kept = {}
  for pair in query:gmatch("[^&]+") do
    if url.unescape(pair:match("^[^=]*")) ~= name then
      kept[#kept + 1] = pair
    end
  end
  set_target(self, #kept > 0 and path .. "?" .. table.concat(kept, "&") or path)
end

---@param method string
function Upstream:set_method(method)
  fields.must(C.mg_upstream_set_method(self.record, self.generation, method, #method))
end

---@param name string
---@return string?
function Upstream:header(name)
  return fields.get(self, fields.UPSTREAM, name, 0)
end

---@return { [1]: string, [2]: string }[]
function Upstream:headers()
  return fields.list(self, fields.UPSTREAM)
end

---@param name string
---@param value string|number
function Upstream:set_header(name, value)
  fields.set(self, fields.UPSTREAM, name, value, 0)
end

---@param name string
---@param value string|number
function Upstream:add_header(name, value)
  fields.set(self, fields.UPSTREAM, name, value, 1)
end

---@param name string
function Upstream:remove_header(name)
  fields.remove(self, fields.UPSTREAM, name)
end

---@param headers table<string, string|number>
function Upstream:set_headers(headers)
  for name, value in pairs(headers) do
    fields.set(self, fields.UPSTREAM, name, value, 0)
  end
end

---@param host string
function Upstream:set_host_header(host)
  fields.set(self, fields.UPSTREAM, "Host", host, 0)
end

--- Replaces the request's body, which is waited for first.
---@param body string
function Upstream:set_body(body)
  local ok, err = self.ctx.request:body()
  if not ok then
    error(err, 2)
  end
  fields.must(C.mg_body_set(self.record, self.generation, body, #body))
end

--- Chooses another service of the configuration by name; without one of that name the request is
--- answered with 503.
---@param name string
function Upstream:set_service(name)
  fields.check(self)
  if type(name) ~= "string" then
    error("set_service takes the name of a service, not a " .. type(name), 2)
  end
  self.service = name
end

--- Whether the client has a session with a service, by its affinity cookie.
---@param name string
---@return boolean
function Upstream:has_session(name)
  fields.check(self)
  return M.services.has_session(self.record, self.generation, name)
end

--- Whether a service has endpoints; false also when there is no such service.
---@param name string
---@return boolean
function Upstream:has_endpoints(name)
  fields.check(self)
  return M.services.has_endpoints(self.record, name)
end

--- Sends the request to one address instead of a service.
---@param host string  IP address
---@param port integer
function Upstream:set_target_address(host, port)
  fields.check(self)
  if type(host) ~= "string" or type(port) ~= "number" then
    error("set_target_address takes an IP address and a port", 2)
  end
  self.address, self.port = host, port
end

--- Times in seconds, or texts such as "250ms".
---@param timeouts { connect: number|string|nil, send: number|string|nil, read: number|string|nil }
function Upstream:set_timeouts(timeouts)
  fields.check(self)
  for key, value in pairs(timeouts) do
    self.record[key .. "_ms"] = values.seconds(value) * 1000
  end
end

--- How many attempts may be made in all.
---@param tries integer
function Upstream:set_retries(tries)
  fields.check(self)
  self.record.tries = tries
end

--- Attempts made so far.
---@return integer
function Upstream:attempts()
  fields.check(self)
  return self.record.attempts
end

--- Who knows the services: set by hooks/upstreams.lua.
---@type { has_session: function, has_endpoints: function }
M.services = nil

function M.new(ctx)
  return setmetatable({ ctx = ctx, record = ctx.record, generation = ctx.generation }, Upstream)
end

return M
