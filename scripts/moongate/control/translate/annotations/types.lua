-- SPDX-License-Identifier: Apache-2.0
-- Types of annotations: each parser takes the text and returns the value, or nil and what is
-- wrong. They start from the types of settings; times become ms, sizes bytes.
local names = require("moongate.control.model.names")
local template = require("moongate.api.template")
local TOKEN = require("moongate.api.token")
local values = require("moongate.settings.values")

local M = {}

M.bool = values.bool
M.switch = values.switch
M.int = values.int
M.count = values.count
M.size = values.size
M.buffer_size = values.buffer_size
M.list = values.list
M.words = values.words
M.networks = values.networks
M.codes = values.codes
M.cache_durations = values.cache_durations
M.from_to = values.from_to
M.one_of = values.one_of
M.template = values.template
M.template_text = values.template_text

--- Networks, one at least.
function M.some_networks(text)
  local list, err = values.networks(text)
  if list and not list[1] then
    return nil, "is empty, and would let everybody in; name addresses or networks, or remove it"
  end
  return list, err
end

--- Anything on one line.
M.text = values.text

--- Whole seconds without a unit, in ms.
function M.seconds(text)
  local value = values.count(text)
  if not value then
    return nil, "must be seconds, a whole number without a unit"
  end
  return value * 1000
end

--- A name that can stand in a header line or before '=' in a cookie.
function M.token(text)
  if not text:find(TOKEN) then
    return nil, "must be a name of letters, digits and '-'"
  end
  return text
end

--- A path, or a URL, to which a request is rewritten.
function M.target(text)
  if not text:find("^/") and not text:find("^%$[1-9]") and not text:find("^https?://[^/]") then
    return nil, "must begin with '/', 'http://', 'https://' or a group such as $1"
  end
  return text
end

--- Path of a cookie.
function M.path(text)
  if not text:find("^/") then
    return nil, "must begin with '/'"
  elseif text:find("[;,]") then
    return nil, "may hold neither ';' nor ',': they would begin another attribute or cookie"
  end
  return text
end

--- A path that may hold variables.
function M.path_template(text)
  if not text:find("^/") then
    return nil, "must begin with '/'"
  end
  return template.parse(text)
end

--- A fixed URL.
function M.url(text)
  if not text:find("^https?://[^/%s]") then
    return nil, "must be a URL that begins with http:// or https://"
  elseif text:find("[$%s]") then
    return nil, "may hold neither '$' nor blanks"
  end
  return text
end

--- Further names of a host: { names = {…}, patterns = {…} }.
function M.aliases(text)
  local aliases = { names = {}, patterns = {} }
  for _, entry in ipairs(values.list(text)) do
    if entry:sub(1, 1) == "~" then
      table.insert(aliases.patterns, entry:sub(2))
    else
      local wrong = names.host(entry:lower())
      if wrong then
        return nil, ('"%s" %s'):format(entry, wrong)
      end
      table.insert(aliases.names, entry:lower())
    end
  end
  return aliases
end

--- Host that a backend is told, perhaps with a port.
function M.host(text)
  if not text:find("^[%w._:%[%]-]+$") then
    return nil, "must be a host name"
  end
  return text
end

--- The same with variables, as parts.
function M.host_template(text)
  if not text:find("^[%w._:%[%]{}$-]+$") then
    return nil, "must be a host name, perhaps with variables"
  end
  return template.parse(text)
end

--- `name` or `namespace/name` of an object: { namespace = nil|text, name = text }.
function M.reference(text)
  local namespace, name = text:match("^([^/]+)/([^/]+)$")
  name = name or text
  if names.subdomain(name) or (namespace and names.label(namespace)) then
    return nil, "must be name or namespace/name of an object"
  end
  return { namespace = namespace, name = name }
end

--- A URL whose parts may hold variables: { text, parts }.
function M.url_template(text)
  if not text:find("^https?://[^/%s]") or text:find("%s") or text:find("..", 1, true) then
    return nil, "must be a URL that begins with http:// or https://, without blanks and '..'"
  end
  local parts, err = template.parse(text)
  return parts and { text = text, parts = parts }, err
end

function M.header_names(text)
  local list = values.list(text)
  for _, name in ipairs(list) do
    if not name:find(TOKEN) then
      return nil, ("holds %q, which is no name of a header"):format(name)
    end
  end
  return list
end

function M.method(text)
  if not text:find("^[A-Z]+$") then
    return nil, "must be a method such as GET"
  end
  return text
end

local NEXT = { "error", "timeout", "invalid_header", "http_500", "http_502", "http_503",
  "http_504", "http_403", "http_404", "http_429", "non_idempotent", "off" }
local is_next = M.one_of(NEXT)

--- What makes another try.
function M.next_upstream(text)
  local words = values.words(text)
  for _, word in ipairs(words) do
    if not is_next(word) then
      return nil, ('"%s" is not one of %s'):format(word, table.concat(NEXT, ", "))
    end
  end
  return words
end

return M
