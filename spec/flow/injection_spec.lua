-- SPDX-License-Identifier: Apache-2.0
--
-- Hostile texts on the wire. Every annotation that can hold a text is set to values that were
-- written to end a line, a field, a message or a quoted text, and what client and backends receive
-- is read byte for byte: nothing comes that the same Ingress without the hostile part does not
-- bring, and other Ingresses serve on. The same for what requests bring into templates.
local annotations = require("moongate.control.translate.annotations")
local certificates = require("spec.support.certificates")
local injection = require("spec.support.injection")
local manifests = require("spec.support.manifests")
local strict_server = require("spec.support.strict_server")
local t = require("moongate.test")
local template = require("moongate.api.template")

local MARK, PAYLOADS = injection.MARK, injection.PAYLOADS

-- Texts that show whether a grammar takes a free one.
local CANDIDATES = { MARK, "/" .. MARK, "http://" .. MARK .. ".test/" .. MARK, MARK:upper(),
  "inner.test " .. MARK .. ".test" }

-- What an annotation needs beside itself to be on the wire; `{auth}` is the address of a backend.
local WITH = {
  ["x-forwarded-prefix"] = { ["rewrite-target"] = "/y" },
  ["auth-realm"] = { ["auth-type"] = "basic", ["auth-secret"] = "users" },
  ["auth-secret"] = { ["auth-type"] = "basic" },
  ["auth-signin"] = { ["auth-url"] = "http://{auth}/deny" },
  ["auth-signin-redirect-param"] = { ["auth-url"] = "http://{auth}/deny",
    ["auth-signin"] = "http://login.test/" },
  ["auth-cache-key"] = { ["auth-url"] = "http://{auth}/ok", ["auth-cache-duration"] = "200 1m" },
  ["session-cookie"] = { affinity = "cookie" },
  ["proxy-redirect-to"] = { ["proxy-redirect-from"] = "http://inner.test/" },
  ["proxy-redirect-from"] = { ["proxy-redirect-to"] = "http://outer.test/" },
  ["mirror-host"] = { ["mirror-target"] = "http://{auth}/copy$request_uri" },
  ["auth-tls-error-page"] = { ["auth-tls-secret"] = "authority", ["ssl-redirect"] = "false" },
}
for _, name in ipairs({ "auth-method", "auth-response-headers", "auth-request-redirect",
  "auth-proxy-set-headers" }) do
  WITH[name] = { ["auth-url"] = "http://{auth}/ok" }
end
for _, name in ipairs({ "allow-origin", "allow-methods", "allow-headers", "expose-headers" }) do
  WITH["cors-" .. name] = { ["enable-cors"] = "true" }
end

-- Values whose mark comes out, where the first candidate's does not.
local VALUES = {
  ["auth-response-headers"] = "X-" .. MARK,
  ["auth-url"] = "http://{auth}/ok/" .. MARK,
  ["auth-request-redirect"] = "http://" .. MARK .. ".test/",
  ["cors-allow-origin"] = "http://" .. MARK .. ".test",
  ["mirror-target"] = "http://{auth}/" .. MARK,
  ["proxy-cookie-path"] = "/inner /" .. MARK,
  ["proxy-redirect-from"] = "http://inner.test/",
}

-- Those whose value is read here and goes nowhere: names of objects, patterns and keys that are
-- compared, TLS, who is told apart, and spans, which are no text of HTTP.
local QUIET = [[
  auth-secret auth-cache-key auth-tls-secret auth-tls-match-cn canary-by-cookie canary-by-header
  canary-by-header-pattern canary-by-header-value default-backend opentelemetry-operation-name
  proxy-redirect-from proxy-ssl-ciphers proxy-ssl-name proxy-ssl-protocols proxy-ssl-secret
  server-alias ssl-ciphers upstream-hash-by
]]

local function is_open(entry)
  for _, text in ipairs(CANDIDATES) do
    if entry.parse(text) ~= nil then
      return text
    end
  end
end

-- Name -> the value that the hostile parts are put to, of those that hold a text.
local function open_annotations()
  local list = {}
  for _, name in ipairs(annotations.names) do
    local entry = annotations.known[name]
    local text = not entry.supported and not entry.alias_of and is_open(entry)
    list[name] = text and (VALUES[name] or text) or nil
  end
  return list
end

local function with_of(name)
  return WITH[name] or WITH[name:match("^session%-cookie") or ""] or {}
end

local OPEN = open_annotations()
local names = {}
for name in pairs(OPEN) do
  names[#names + 1] = name
end
table.sort(names)

describe("hostile texts", function()
  local gateway, backend
  local copies -- whether the last host has its requests copied

  local function answer(request)
    local status = request.target:find("^/deny") and "401 Unauthorized" or "200 OK"
    local user = request.target:find("^/ok") and "X-" .. MARK .. ": user\r\n" or ""
    return ("HTTP/1.1 %s\r\nSet-Cookie: k=v; Domain=inner.test; Path=/inner\r\n"
      .. "Location: http://inner.test/there\r\n%sContent-Length: 0\r\n\r\n"):format(status, user)
  end

  local function filled(values)
    local made = {}
    for name, value in pairs(values) do
      made[name] = value:gsub("{auth}", "127.0.0.1:" .. backend.port)
    end
    return made
  end

  local function objects(list)
    local authority = certificates.make("injection-ca", { ca = true })
    local pair = certificates.make("injection", { san = "DNS:*.test", issuer = authority })
    return manifests.join(manifests.CLASS, manifests.service("web", { backend.port }),
      manifests.authority("authority", authority), manifests.secret("pair", pair),
      injection.documents(list))
  end

  -- The gateway of Ingresses that are added to these.
  local function start(list, settings)
    backend, copies = strict_server.new(), false
    backend.scripted = answer
    settings = settings or {}
    settings["annotations-risk-level"] = "Critical"
    settings["global-allowed-response-headers"] = "X-" .. MARK
    gateway = t.gateway({ workers = 1, settings = settings })
    local all = {
      injection.config_map(MARK, { ["X-" .. MARK] = "mapped" }),
      injection.ingress("other", {}),
      injection.ingress("refused", { ["auth-type"] = "basic", ["auth-secret"] = "none" }),
      { apiVersion = "v1", kind = "Secret", metadata = { name = "users" },
        stringData = { auth = "a:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=" } },
    }
    for _, object in ipairs(list()) do
      all[#all + 1] = object
    end
    gateway.options.manifests = { ["all.json.yaml"] = objects(all) }
    gateway:start()
  end

  after_each(function()
    if gateway then
      gateway:stop()
      backend:close()
      gateway = nil
    end
  end)

  -- Copies, which nobody waits for, are not to be counted with the next requests.
  local function finish_copies()
    local before = -1
    t.wait_until(function()
      local same = before == #backend.requests
      before = #backend.requests
      return same and gateway:metrics("moongate_upstream_connections", { state = "busy" }) == 0
    end, "copies to be over")
  end

  -- What came of requests to a host: answers, and requests at the backend until it is quiet.
  local function exchange(host, tls, path, head)
    if copies then
      finish_copies()
    end
    copies = host:find("mirror", 1, true)
    backend:begin()
    local answers = tls and injection.ask_tls(gateway, host)
      or injection.ask(gateway, host, path, head)
    return answers, backend.requests
  end

  -- Requests that nobody waits for, copies above all, are over when another host's are.
  local function settle(host, path, head, count)
    local answers, requests = exchange(host, false, path, head)
    t.wait_until(function()
      return #requests >= (count or 0)
    end, "the backend's requests")
    return answers, requests
  end

  -- What an Ingress without the hostile part brings: shapes, and how many requests.
  local function known_of(hosts, tls, path, head)
    -- Each of the three may be forwarded, with what the client says in it.
    local most = 3
    local shapes = { GET = true, OPTIONS = true, ["access-control-request-method"] = true }
    for _, host in ipairs(hosts) do
      local answers, requests = exchange(host, tls, path, head)
      local before = -1
      t.wait_until(function()
        local same = before == #requests
        before = #requests
        return same
      end, "quiet")
      injection.shapes(answers, shapes)
      injection.shapes(requests, shapes)
      most = math.max(most, #requests)
    end
    return shapes, most
  end

  local function check(what, shapes, most, answers, requests)
    assert.same({}, backend.faults, what)
    assert.equal(0, backend.cut, what)
    assert.is_true(#requests <= most, ("%s: %d requests of %d"):format(what, #requests, most))
    for _, list in ipairs({ answers, requests }) do
      for shape in pairs(injection.shapes(list)) do
        assert.is_true(shapes[shape], ("%s brings %q\n%s"):format(what, shape,
          injection.text(list[#list])))
      end
    end
  end

  local function host_of(name, kind)
    return (name .. "-" .. kind):gsub("[^%w]+", "-") .. ".test"
  end

  -- The Ingresses of one host; a canary has a main one beside it.
  local function ingresses(list, name, kind, values)
    local host = host_of(name, kind)
    local entry = annotations.known[name]
    local options = { host = host, secret = name:find("^auth%-tls") and "pair" or nil }
    local title = host:gsub("%.test$", "")
    if entry.area == "canary" and name ~= "canary" then
      values.canary = "true"
      list[#list + 1] = injection.ingress("zz-" .. title, {}, options)
    end
    list[#list + 1] = injection.ingress(title, filled(values), options)
  end

  local function with(name, value)
    local values = { [name] = value }
    for other, its in pairs(with_of(name)) do
      values[other] = its
    end
    return values
  end

  -- Kinds of a hostile value: before, behind, and instead.
  local function hostile(name)
    local list = {}
    for what, payload in pairs(PAYLOADS) do
      list[#list + 1] = { what .. " behind", OPEN[name] .. payload }
      list[#list + 1] = { what .. " before", payload .. OPEN[name] }
      list[#list + 1] = { what, payload }
    end
    return list
  end

  it("are looked for in every annotation that holds one", function()
    start(function()
      local list = {}
      for _, name in ipairs(names) do
        ingresses(list, name, "plain", with(name, OPEN[name]))
      end
      return list
    end)
    local quiet, declared = {}, {}
    for _, name in ipairs(names) do
      local answers, requests = exchange(host_of(name, "plain"), name == "auth-tls-error-page")
      local found = false
      local ok = pcall(t.wait_until, function()
        for _, list in ipairs({ answers, requests }) do
          for _, message in ipairs(list) do
            found = found or injection.text(message):gsub("\norigin: http://" .. MARK, "")
              :find(MARK, 1, true) ~= nil
          end
        end
        return found or not name:find("^mirror")
      end, "the mark")
      if not found and ok then
        quiet[#quiet + 1] = name
      end
    end
    for name in QUIET:gmatch("%S+") do
      declared[#declared + 1] = name
    end
    table.sort(declared)
    assert.same(declared, quiet)
  end)

  for _, name in ipairs(names) do
    it("bring nothing of their own: " .. name, function()
      local tls = name == "auth-tls-error-page"
      local cases = hostile(name)
      start(function()
        local list = {}
        ingresses(list, name, "plain", with(name, OPEN[name]))
        local without = with(name, nil)
        ingresses(list, name, "without", without)
        for i, case in ipairs(cases) do
          ingresses(list, name, "h" .. i, with(name, case[2]))
        end
        return list
      end)
      local shapes, most = known_of({ host_of(name, "plain"), host_of(name, "without"),
        "refused.test", "nobody.test" }, tls)
      local other = exchange("other.test", false)
      for i, case in ipairs(cases) do
        local answers, requests = exchange(host_of(name, "h" .. i), tls)
        check(("%s: %s"):format(name, case[1]), shapes, most, answers, requests)
      end
      local again = settle("other.test", nil, nil, 3)
      for i = 1, 3 do
        assert.equal(injection.text(other[i]), injection.text(again[i]))
      end
      assert.same({}, backend.faults)
    end)
  end

  -- --- what ConfigMaps bring ---------------------------------------------------------

  local MAPS = { ["custom-headers"] = {}, ["auth-proxy-set-headers"] = WITH["auth-method"] }

  -- Maps with a hostile value, and with a hostile name.
  local function maps()
    local list = {}
    for what, payload in pairs(PAYLOADS) do
      list[#list + 1] = { what .. " behind a value", { ["X-" .. MARK] = "v" .. payload } }
      list[#list + 1] = { what .. " before a value", { ["X-" .. MARK] = payload .. "v" } }
      list[#list + 1] = { what .. " in a name", { ["X-" .. MARK .. payload] = "v" } }
    end
    return list
  end

  for name, needs in pairs(MAPS) do
    it("of a ConfigMap bring nothing of their own into " .. name, function()
      local cases = maps()
      start(function()
        local list = { injection.config_map("sound", { ["X-" .. MARK] = "v" }) }
        local function add(kind, map)
          local made = { [name] = map }
          for other, value in pairs(needs) do
            made[other] = value
          end
          ingresses(list, name, kind, made)
        end
        add("plain", "sound")
        for i, case in ipairs(cases) do
          list[#list + 1] = injection.config_map("map" .. i, case[2])
          add("h" .. i, "map" .. i)
        end
        return list
      end)
      local shapes, most = known_of({ host_of(name, "plain"), "refused.test", "nobody.test" })
      assert.is_true(shapes["x-" .. MARK])
      for i, case in ipairs(cases) do
        local answers, requests = exchange(host_of(name, "h" .. i))
        check(("%s: %s"):format(name, case[1]), shapes, most, answers, requests)
      end
    end)
  end

  it("of the ConfigMaps for all bring nothing of their own", function()
    local shapes, most
    for i, case in ipairs({ { "nothing", { ["X-" .. MARK] = "v" } }, unpack(maps()) }) do
      start(function()
        return { injection.config_map("map", case[2]) }
      end, { ["add-headers"] = "default/map", ["proxy-set-headers"] = "default/map" })
      if i == 1 then
        shapes, most = known_of({ "other.test", "refused.test", "nobody.test" })
        assert.is_true(shapes["x-" .. MARK])
      else
        local answers, requests = exchange("other.test")
        check(case[1], shapes, most, answers, requests)
      end
      gateway:stop()
      backend:close()
      gateway = nil
    end
  end)

  -- --- what requests bring -----------------------------------------------------------

  -- Where variables of a request go: to annotations that take a template and are seen.
  local TEMPLATES = { template = true, path_template = true, url_template = true }
  local quiet = {}
  for name in QUIET:gmatch("%S+") do
    quiet[name] = true
  end
  local VARIABLES = { unpack(template.names) }
  for _, family in ipairs({ "http_x_hostile", "http_cookie", "arg_x", "cookie_c" }) do
    VARIABLES[#VARIABLES + 1] = family
  end

  local PATHS = {
    "/a%0d%0aX-Evil:%201%0d%0a%0d%0a?x=%0d%0aX-Evil:%201&y=%0a",
    "/%01%1f%7fX-Evil:%201?x=%00%01%0b%7f",
    "/%00?x=%00",
    "/%22'%5c;$host%20HTTP/1.0%e9%c4%8a?x=%22'%5c;$host%20HTTP/1.0%e9%c4%8a",
    "/\"'\\;$host<>{}?x=\"'\\;$host<>{}",
    "/\195\169\255?x=\195\169\255",
  }
  local HEAD = "X-Hostile: \tv\195\169\255;\"'\\ ${host}\tX-Evil: 1\r\n"
    .. "Cookie: c=%0d%0aX-Evil:1\255\"; d=\195\169\r\n"
    .. "X-Forwarded-For: 127.0.0.9, \"\195\169\r\nContent-Type: a\tb\255\r\n"
    .. "Authorization: Basic YQ0KWC1FdmlsOiAxAAE6Yg==\r\n"

  for _, name in ipairs(names) do
    if TEMPLATES[annotations.known[name].type] and not quiet[name] then
      it("of requests bring nothing of their own into " .. name, function()
        start(function()
          local list = {}
          ingresses(list, name, "without", with(name, nil))
          for _, variable in ipairs(VARIABLES) do
            local value = OPEN[name] .. "?v=${" .. variable .. "}"
            ingresses(list, name, variable, with(name, value))
          end
          return list
        end)
        for _, variable in ipairs(VARIABLES) do
          local host = host_of(name, variable)
          local shapes, most = known_of({ host, host_of(name, "without"), "refused.test",
            "nobody.test" }, false, nil, "X-Hostile: v\r\nCookie: c=v\r\nContent-Type: a\r\n"
            .. "Authorization: Basic YTpi\r\nX-Forwarded-For: 127.0.0.9\r\n")
          for _, status in ipairs({ "400", "500", "502" }) do
            shapes[status] = true
          end
          for _, path in ipairs(PATHS) do
            local answers, requests = exchange(host, false, path, HEAD)
            check(("%s: $%s of %s"):format(name, variable, path), shapes, most, answers, requests)
          end
        end
        settle("other.test", nil, nil, 3)
        assert.same({}, backend.faults)
      end)
    end
  end
end)
