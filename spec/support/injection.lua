-- SPDX-License-Identifier: Apache-2.0
--
-- What the specs of injection send and look at: Ingresses with any bytes in their annotations, and
-- messages as they came, byte for byte.
local json = require("moongate.api.json")
local luassert = require("luassert")
local program = require("spec.support.program")
local strict = require("spec.support.strict")
local strict_client = require("spec.support.strict_client")

local M = {}

local PREFIX = "nginx.ingress.kubernetes.io/"

--- Found again on the wire wherever a value goes: letters alone, so that every grammar has them.
M.MARK = "zqx"

--- Written to end a line, a field, a message or a quoted text, or to be filled in.
M.PAYLOADS = {
  ["CR LF and a field"] = "\r\nX-Evil: 1",
  ["LF and a field"] = "\nX-Evil: 1",
  ["CR and a field"] = "\rX-Evil: 1",
  ["an answer"] = "\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
  ["a request"] = " HTTP/1.1\r\nHost: e\r\n\r\nGET /evil HTTP/1.1\r\nHost: e\r\n\r\n",
  ["NUL"] = "\0X-Evil: 1",
  ["other control characters"] = "\1\8\11\12\27\127",
  ["a tab and blanks"] = "\t X-Evil: 1  ",
  ["escapes of a URL"] = "%0d%0aX-Evil:%201%00",
  ["what ends in LF and CR when it is cut to bytes"] = "\196\138\197\141\230\136\138X-Evil: 1",
  ["separators of Unicode"] = "\226\128\168\194\133X-Evil: 1",
  ["quotes"] = [["'`\]],
  ["ends of attributes and lists"] = "; X-Evil=1; Domain=evil.test, X-Evil: 1",
  ["attributes without blanks"] = ";X-Evil=1;Domain=evil.test",
  ["a request line"] = "/ HTTP/1.0",
  ["variables of a request"] = "$request_uri$http_x_hostile$arg_x$cookie_c",
  ["an unknown variable"] = "${evil}",
  ["a template"] = "{{evil}}<script>",
}

-- --- manifests ---------------------------------------------------------------------

--- Texts of objects, each a document of its own: JSON says any character in ASCII.
---@param list table[]
---@return string
function M.documents(list)
  local texts = {}
  for i, object in ipairs(list) do
    texts[i] = json.encode(object)
  end
  return table.concat(texts, "\n---\n") .. "\n"
end

---@param name string
---@param data table<string, string>
---@return table
function M.config_map(name, data)
  return { apiVersion = "v1", kind = "ConfigMap", metadata = { name = name }, data = data }
end

--- An Ingress of the class nginx with one path, "/".
---@param name string
---@param annotations table<string, string>  by what follows the prefix
---@param options { host: string?, secret: string? }?
---@return table
function M.ingress(name, annotations, options)
  options = options or {}
  local full = {}
  for key, value in pairs(annotations) do
    full[PREFIX .. key] = value
  end
  local host = options.host or name .. ".test"
  local service = { name = "web", port = { number = 80 } }
  local path = { path = "/", pathType = "Prefix", backend = { service = service } }
  return {
    apiVersion = "networking.k8s.io/v1",
    kind = "Ingress",
    metadata = { name = name, annotations = full },
    spec = {
      ingressClassName = "nginx",
      tls = options.secret and json.array({ { hosts = { host }, secretName = options.secret } }),
      rules = { { host = host, http = { paths = { path } } } },
    },
  }
end

-- --- messages ----------------------------------------------------------------------

-- Three requests on one connection, which the last one ends. `head` has further lines.
local function requests(host, path, head)
  local function one(method, target, more)
    return ("%s %s HTTP/1.1\r\nHost: %s\r\nOrigin: http://%s.test\r\n%s%s\r\n"):format(method,
      target, host, M.MARK, head, more)
  end
  return one("GET", "/", "") .. one("OPTIONS", path, "Access-Control-Request-Method: PUT\r\n")
    .. one("GET", path, "Connection: close\r\n")
end

--- The answers to three requests, read by a reader that forgives nothing: so many and no more, but
--- fewer where one is refused and the connection with it.
---@param gateway moongate.test.Gateway
---@param host string
---@param path string?
---@param head string?  lines
---@return table[]
function M.ask(gateway, host, path, head)
  local bytes = requests(host, path or "/a/b?x=1", head or "")
  local answers = strict_client.answers_to(gateway, bytes, "GET", #bytes)
  local last = answers[#answers]
  local refused = last and last.status == 400 and strict.values(last, "connection")[1] == "close"
  luassert.is_true(#answers == 3 or refused and #answers < 3, "answers at " .. host)
  return answers
end

--- The answer to one request over TLS, by its bytes as curl got them.
---@param gateway moongate.test.Gateway
---@param host string
---@return table[]
function M.ask_tls(gateway, host)
  local found = program.shell("curl -q -sSik --http1.1 --resolve $1:$2:127.0.0.1 "
    .. "https://$1:$2/a/b?x=1 | od -An -v -tx1", host, gateway.https_port)
  luassert.is_true(#found.output > 0, found.errors)
  local bytes = found.output:gsub("%s", ""):gsub("%x%x", function(digits)
    return string.char(tonumber(digits, 16))
  end)
  local reader = strict.reader({
    read = function(self)
      local data = not self.over and bytes or nil
      self.over = true
      return data
    end,
  })
  local answer, why = reader:response("GET")
  luassert.is_nil(why)
  luassert.is_false(reader:has_rest(), "bytes behind the answer of " .. host)
  return { answer }
end

--- What a message says before its body, as one text in lower case; but for the time.
---@param message table
---@return string
function M.text(message)
  local parts = { message.method or "", message.target or "", tostring(message.status or "") }
  for _, field in ipairs(message.fields) do
    parts[#parts + 1] = field[1] ~= "date" and field[1] .. ": " .. field[2] or nil
  end
  return table.concat(parts, "\n"):lower()
end

--- What messages may be made of, as a set: names of fields, statuses, methods, attributes of
--- cookies.
---@param messages table[]
---@param shapes table<string, boolean>?  added to
---@return table<string, boolean>
function M.shapes(messages, shapes)
  shapes = shapes or {}
  for _, message in ipairs(messages) do
    shapes[("%s%s"):format(message.method or "", message.status or "")] = true
    for _, field in ipairs(message.fields) do
      shapes[field[1]] = true
      if field[1] == "set-cookie" then
        for attribute in field[2]:gmatch(";%s*([^=;]*)") do
          shapes["cookie " .. attribute:lower()] = true
        end
      end
    end
  end
  return shapes
end

return M
