-- SPDX-License-Identifier: Apache-2.0
--
-- The simple types of mg.schema: each reads a value of JSON or YAML into what hooks use, and says
-- how JSON Schema calls it. Values are never quoted in messages, since they may be secret.
local ip = require("moongate.api.ip")
local regex = require("moongate.api.regex")
local template = require("moongate.api.template")
local TOKEN = require("moongate.api.token")
local url = require("moongate.api.url")
local values = require("moongate.api.values")

local M = {}

local function article(word)
  return (word:find("^[aeiou]") and "an " or "a ") .. word
end

local function mismatch(value, wanted)
  local kind = type(value)
  local hint
  if wanted == "a string" and (kind == "number" or kind == "boolean") then
    hint = "put it in quotes"
  end
  return nil, ("must be %s, not %s"):format(wanted, article(kind)), hint
end

-- A type of texts: `accept` returns the value, or nil and what it must be.
local function text_kind(format, accept)
  return {
    json = { type = "string", format = format },
    text = true,
    read = function(self, value)
      if type(value) ~= "string" then
        return mismatch(value, "a string")
      end
      return accept(value, self)
    end,
  }
end

local function number_kind(json_type, accept)
  return {
    json = { type = json_type },
    number = true,
    read = function(_, value)
      if type(value) ~= "number" then
        return mismatch(value, "a number")
      end
      return accept(value)
    end,
  }
end

local function matching(format, pattern, message)
  return text_kind(format, function(value)
    if value:find(pattern) then
      return value
    end
    return nil, message
  end)
end

M.string = text_kind(nil, function(value)
  return value
end)

M.number = number_kind("number", function(value)
  return value
end)

M.integer = number_kind("integer", function(value)
  if value ~= math.floor(value) then
    return nil, "must be a whole number"
  end
  return value
end)

M.boolean = {
  json = { type = "boolean" },
  read = function(_, value)
    if type(value) ~= "boolean" then
      return mismatch(value, "true or false")
    end
    return value
  end,
}

M.any = {
  json = {},
  read = function(_, value)
    return value
  end,
}

-- --- numbers with units ------------------------------------------------------

local function unit_kind(parse)
  return {
    json = { type = { "number", "string" } },
    number = true,
    parse = parse,
    read = function(_, value)
      if type(value) ~= "number" and type(value) ~= "string" then
        return mismatch(value, "a number or a text")
      end
      local number, err = parse(value)
      if number and number < 0 then
        return nil, "must not be below 0"
      end
      return number, err
    end,
  }
end

--- Seconds, of a number or of "250ms", "4s", "1h".
M.duration = unit_kind(function(value)
  local seconds = values.parse_seconds(value)
  return seconds, not seconds and "must be a duration, such as 4, 4s or 250ms" or nil
end)

--- Of a number or of "8k", "1m", "10MiB".
M.bytes = unit_kind(function(value)
  local bytes = values.parse_bytes(value)
  return bytes, not bytes and "must be a size, such as 8192, 8k or 1m" or nil
end)

--- 0 to 100, of a number or of "12.5%".
M.percent = unit_kind(function(value)
  local number = type(value) == "number" and value
    or tonumber(tostring(value):match("^(%d+%.?%d*)%%$"))
  if not number or number > 100 then
    return nil, "must be a percentage from 0 to 100, such as 12.5%"
  end
  return number
end)

-- --- names and addresses -----------------------------------------------------

M.url = text_kind("uri", function(value)
  local parsed = url.parse(value)
  parsed = parsed and parsed.scheme:match("^https?$")
  return parsed and value, not parsed and "must be a URL of the form http(s)://host[:port][/path]"
end)

M.host = matching("hostname", "^[%w_][%w_.-]*$", "must be the name of a host")

M.port = number_kind("integer", function(value)
  if value ~= math.floor(value) or value < 1 or value > 65535 then
    return nil, "must be a port, 1 to 65535"
  end
  return value
end)

M.cidr = text_kind(nil, function(value)
  return ip.cidr_set({ value }) and value, "must be a network or an address, such as 10.0.0.0/8"
end)

M.ip = text_kind(nil, function(value)
  local good = not value:find("/", 1, true) and ip.cidr_set({ value })
  return good and value or nil, "must be an IP address"
end)

M.http_method = matching(nil, "^[A-Z][A-Z-]*$", "must be a method in capitals, such as GET")

M.status_code = number_kind("integer", function(value)
  if value ~= math.floor(value) or value < 200 or value > 599 then
    return nil, "must be a status code, 200 to 599"
  end
  return value
end)

M.header_name = matching(nil, TOKEN, "must be the name of a header")

M.header_value = matching(nil, "^[^%z\1-\8\10-\31\127]*$", "must not hold control characters")

M.cookie_name = matching(nil, TOKEN, "must be the name of a cookie")

M.path = matching(nil, "^/[^%c%s]*$", "must begin with '/', without white space")

-- --- compiled texts ----------------------------------------------------------

--- Gives the compiled pattern (mg.regex).
M.regex = text_kind("regex", function(value, self)
  local compiled, err = regex.compile(value, self.options)
  return compiled, not compiled and "is no pattern: " .. err or nil
end)

--- Gives the parts of a text with variables, for ctx:template; those may stand there already.
M.template = {
  json = { type = "string" },
  read = function(_, value)
    if type(value) == "table" then
      return template.are_parts(value) and value or nil, "must be a text with variables"
    elseif type(value) ~= "string" then
      return mismatch(value, "a string")
    end
    return template.parse(value)
  end,
}

M.mismatch = mismatch

return M
