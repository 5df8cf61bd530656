-- SPDX-License-Identifier: Apache-2.0
-- TCP and UDP services: entries of the ConfigMaps of --tcp-services-configmap and
-- --udp-services-configmap → ports of the model. An entry that is wrong is a fault and opens
-- nothing; one whose Service is wrong opens a port that takes nobody in.
local model = require("moongate.control.model")
local names = require("moongate.control.model.names")
local references = require("moongate.control.translate.references")
local services = require("moongate.control.translate.services")

local M = {}

--- Ports of all entries together: each is a socket for every worker.
M.MOST = 1024

local FLAGS = { TCP = "tcp-services-configmap", UDP = "udp-services-configmap" }
local FORM = "namespace/service:port"
local FORMS = { TCP = FORM .. "[:PROXY][:PROXY]", UDP = FORM }

local function complain(context, entry, message, severity)
  return model.fault(context.faults, entry.object, severity or "error", { "data", entry.key },
    message)
end

-- --- one entry -------------------------------------------------------------------

local function number_of(text)
  local number = text:find("^[1-9]%d*$") and tonumber(text)
  return number and number <= 65535 and number or nil
end

local function split(text)
  local parts = {}
  for part in (text .. ":"):gmatch("([^:]*):") do
    parts[#parts + 1] = part
  end
  return parts
end

-- The port of a Service, by number or by name.
local function service_port(text)
  if text:find("^%d+$") then
    local number = number_of(text)
    return number, not number and ("%q is no port from 1 to 65535"):format(text)
  end
  local wrong = text == "" and "must name a port" or names.port_name(text)
  return text, wrong and ("port %q %s"):format(text, wrong)
end

local function read_service(text)
  local namespace, name = text:match("^([^/]+)/([^/]+)$")
  if not namespace or names.label(namespace) or names.label(name) then
    return nil, ("%q is no namespace/service"):format(text)
  end
  return { namespace = namespace, name = name }
end

local function is_proxy(text)
  if text == nil or text == "" then
    return false
  end
  return text:upper() == "PROXY", text:upper() ~= "PROXY" and ("%q is not PROXY"):format(text)
end

-- Which of the last two fields say PROXY. UDP has none, which ingress-nginx does not mind.
local function read_proxy(context, entry, parts, wanted)
  if entry.transport == "UDP" then
    if parts[3] then
      complain(context, entry, "UDP has no PROXY protocol, so what follows the port is left out; "
        .. "write " .. FORM, "warning")
    end
    return nil
  end
  local err, other
  wanted.decode, err = is_proxy(parts[3])
  wanted.encode, other = is_proxy(parts[4])
  if parts[5] then
    return "has more than four fields"
  end
  return err or other or nil
end

-- What the value of an entry says, or nil and what is wrong.
local function read_value(context, entry, text)
  local parts = split(text)
  local wanted, err = read_service(parts[1])
  if not wanted then
    return nil, err
  elseif not parts[2] then
    return nil, "names no port of the Service"
  end
  wanted.transport = entry.transport
  wanted.port, err = service_port(parts[2])
  err = err or read_proxy(context, entry, parts, wanted)
  if err then
    return nil, err
  end
  return wanted
end

local function read_number(context, entry)
  local number = number_of(entry.key)
  if not number then
    return nil, "is no port from 1 to 65535; the key of an entry is the port that clients use"
  end
  local own = entry.transport == "TCP" and (context.own_ports or {})[number]
  if own then
    return nil, ("is a port of the gateway itself (%s); choose another one, or move that listener")
      :format(own)
  end
  return number
end

-- --- all of them -------------------------------------------------------------------

local CONSEQUENCES = {
  TCP = "connections to port %s are closed at once until it is right",
  UDP = "datagrams to port %s are dropped until it is right",
}

local function complain_service(context, entry, wanted, wrong, code)
  local fault = complain(context, entry, ("Service %s/%s %s; " .. CONSEQUENCES[entry.transport])
    :format(wanted.namespace, wanted.name, wrong, entry.key))
  fault.code = code
end

local function place_of(entry)
  local line, column = model.position(entry.object, { "data", entry.key })
  return {
    kind = "ConfigMap",
    namespace = entry.object.namespace,
    name = entry.object.name,
    field = model.field({ "data", entry.key }),
    file = entry.object.file,
    line = line,
    column = column,
  }
end

local function port_of(context, entry, number, wanted)
  local name, wrong, code = services.use_port(context, wanted)
  if wrong then
    complain_service(context, entry, wanted, wrong, code)
  end
  return {
    protocol = entry.transport:lower(),
    port = number,
    service = name,
    decode = wanted.decode or nil,
    encode = wanted.encode or nil,
    source = place_of(entry),
  }
end

local function add(context, list, entry)
  local number, err = read_number(context, entry)
  local text = entry.object.data[entry.key]
  local wanted
  if number then
    wanted, err = read_value(context, entry, text)
    err = err and ("%s; write %s"):format(err, FORMS[entry.transport])
  end
  if not err and #list >= M.MOST then
    err = ("is one port too many: there may be %d of TCP and UDP together"):format(M.MOST)
  end
  if err then
    complain(context, entry, err).code = "port"
  else
    list[#list + 1] = port_of(context, entry, number, wanted)
  end
end

-- In the order of their numbers, whatever the keys look like.
local function keys_of(object)
  local keys = model.keys(object.data)
  table.sort(keys, function(left, right)
    local a, b = tonumber(left) or 0, tonumber(right) or 0
    if a ~= b then
      return a < b
    end
    return left < right
  end)
  return keys
end

--- The list for the model.
---@param context table
---@return table[]?
function M.list(context)
  local list = {}
  for _, transport in ipairs({ "TCP", "UDP" }) do
    local object =
      references.of_flag(context, FLAGS[transport], "ConfigMap", "no port of it is open")
    for _, key in ipairs(object and keys_of(object) or {}) do
      add(context, list, { object = object, key = key, transport = transport })
    end
  end
  return list[1] and list or nil
end

return M
