-- SPDX-License-Identifier: Apache-2.0
--
-- Tables of annotations for specs with traffic. For each row there are two hosts that differ in
-- one annotation; what the row sees must be as it says with it, and otherwise without.
local busted = require("busted")
local luassert = require("luassert")
local manifests = require("spec.support.manifests")
local nobody = require("spec.support.nobody")
local t = require("moongate.test")

local M = {}

---@class spec.Annotated
---@field [1] string            the annotation
---@field [2] string            its value; `{host}` is the name of the host
---@field sees fun(at: spec.At): any
---@field gives any             what `sees` returns with the annotation
---@field with table?           further annotations, on both hosts
---@field plain string?         value on the other host, where being without would take too long
---@field main table?           makes a canary: the row's annotations go there, these to main
---@field service string?       "web" unless given
---@field port string?          80 unless given
---@field path string?          "/" unless given
---@field secret string?        of TLS

-- The text of the Ingresses of one host.
local function ingresses(row, host, annotations)
  local function made(name, service, of)
    local text = manifests.ingress(name, { host = host, service = service,
      paths = { row.path or "/" }, secret = row.secret, annotations = manifests.annotations(of) })
    return (text:gsub("{host}", host))
  end
  local name = host:gsub("%.", "-")
  if row.main then
    -- Of the same age: the greater name is the older one.
    return manifests.join(made("web-" .. name, "web", row.main),
      made("next-" .. name, "next", annotations))
  end
  local text = made(name, row.service or "web", annotations)
  return row.port and text:gsub("number: 80", "number: " .. row.port) or text
end

-- Answers as the request asks for it.
local function pod(name)
  return function(request)
    local headers = {}
    for _, field in ipairs({ "Set-Cookie", "Location", "X-Pad", "Access-Control-Allow-Origin" }) do
      headers[field] = request:header("x-answer-" .. field:lower())
    end
    headers["X-Pod"] = name
    return { status = tonumber(request:header("x-answer-status") or 200), headers = headers,
      body = request:header("x-answer-body") or name, delay = request:header("x-answer-delay") }
  end
end

local function auth(request)
  local headers = { ["X-Auth-User"] = "alice" }
  if not request.path:find("nocookie") then
    headers["Set-Cookie"] = "authsess=1"
  end
  return { status = tonumber(request.path:match("/(%d%d%d)")) or 200, headers = headers }
end

-- {SHA} of "password".
local HASH = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="

local OBJECTS = ([[
apiVersion: v1
kind: Secret
metadata: {name: users}
stringData: {auth: "alice:HASH"}
---
apiVersion: v1
kind: Secret
metadata: {name: map}
stringData: {alice: "HASH"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: extra}
data: {X-Extra: "from-the-map"}
---
apiVersion: v1
kind: Service
metadata: {name: virtual}
spec: {clusterIP: 127.0.0.1, ports: [{name: http, port: VIP, targetPort: http}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: virtual-1, labels: {kubernetes.io/service-name: virtual}}
addressType: IPv4
ports: [{name: http, port: WEB}]
endpoints: [{addresses: [127.0.0.1]}]
]]):gsub("HASH", HASH)

local function objects(gateway)
  local function port(name, answer)
    return gateway:upstream(name, answer).port
  end
  gateway:upstream("auth", auth)
  gateway:upstream("mirror")
  local failing = { status = 503, headers = { ["X-Pod"] = "bad" }, body = "bad" }
  local web = { port("a", pod("a")), port("b", pod("b")), port("c", pod("c")) }
  return manifests.join(
    manifests.CLASS,
    manifests.service("web", web),
    manifests.service("one", { web[1] }),
    manifests.service("next", { port("next", pod("next")) }),
    manifests.service("errors", { port("errors", { status = 200, body = "error page" }) }),
    manifests.service("empty", {}),
    manifests.service("half", { port("bad", failing), web[1] }),
    manifests.service("dead", { nobody.port(), web[1] }),
    manifests.service("failing", {
      port("late1", { status = 503, delay = 1.2 }), port("late2", { status = 503, delay = 1.2 }) }),
    manifests.service("uneven", { port("slow", { body = "slow", delay = 0.1 }), web[1] }),
    (OBJECTS:gsub("VIP", tostring(port("vip", pod("vip")))):gsub("WEB", tostring(web[1])))
  )
end

---@class spec.At   one host, and what is around it
local At = {}
At.__index = At

function At:send(request)
  local headers = { Host = self.host }
  for name, value in pairs(request.headers or {}) do
    headers[name] = value
  end
  request.headers, request.method = headers, request.method or "GET"
  request.path = request.path or "/"
  self.client = self.client or self.gateway:client()
  return assert(self.client:request(request))
end

function At:get(path, headers)
  return self:send({ path = path, headers = headers })
end

--- The last request at a server, "a" unless given: use it with the service "one".
function At:last(name)
  local requests = self.gateway:upstream(name or "a").requests
  return requests[#requests]
end

--- How many requests came to a server during `act`.
function At:count(name, act)
  local requests = self.gateway:upstream(name).requests
  local before = #requests
  act()
  return #requests - before
end

--- The bodies of so many answers, and how often each came.
function At:spread(times, path, headers)
  local counts, kinds = {}, 0
  for _ = 1, times do
    local body = self:get(path, headers).body
    kinds = kinds + (counts[body] and 0 or 1)
    counts[body] = (counts[body] or 0) + 1
  end
  return kinds, counts
end

--- How many of so many answers have a status.
function At:statuses(times, status)
  local count = 0
  for _ = 1, times do
    count = count + (self:get("/").status == status and 1 or 0)
  end
  return count
end

--- Whether something comes about while other requests go on.
function At:soon(condition)
  local client = self.gateway:client()
  for _ = 1, 60 do
    if condition() then
      return true
    end
    client:get("/", { Host = "other.test" })
  end
  return condition()
end

local function annotations_of(row, value)
  local made = { [row[1]] = value }
  for name, other in pairs(row.with or {}) do
    made[name] = other
  end
  return made
end

--- Makes the tests of a table.
---@param title string
---@param rows spec.Annotated[]
---@param settings table<string, string>?
function M.describe(title, rows, settings)
  busted.describe(title, function()
    local gateway

    busted.setup(function()
      gateway = t.gateway({ workers = 1, settings = settings })
      local texts = { objects(gateway) }
      for i, row in ipairs(rows) do
        table.insert(texts, ingresses(row, ("with%d.test"):format(i),
          annotations_of(row, row[2])))
        table.insert(texts, ingresses(row, ("plain%d.test"):format(i),
          annotations_of(row, row.plain)))
      end
      gateway.options.manifests = { ["all.yaml"] = manifests.join(unpack(texts)) }
      gateway:start()
    end)

    busted.teardown(function()
      gateway:stop()
    end)

    for i, row in ipairs(rows) do
      busted.it(("change traffic: %s: %s"):format(row[1], row[2]), function()
        local function seen(kind)
          local at = setmetatable({ gateway = gateway, host = kind .. i .. ".test" }, At)
          return row.sees(at)
        end
        luassert.same(row.gives, seen("with"))
        luassert.not_same(row.gives, seen("plain"))
      end)
    end
  end)
end

return M
