-- SPDX-License-Identifier: Apache-2.0
require("spec.support.control")
local annotations = require("moongate.control.translate.annotations")
local removed = require("moongate.control.translate.annotations.removed")
local settings = require("moongate.settings")
local template = require("moongate.api.template")

local PREFIX = "nginx.ingress.kubernetes.io/"

local function read(notes, raw, flags)
  local typed = settings.read(raw or {})
  local written = {}
  for name, text in pairs(notes) do
    written[PREFIX .. name] = text
  end
  local faults = {}
  local context = { prefix = PREFIX, settings = typed, faults = faults, flags = flags or {},
    defaults = annotations.defaults(typed) }
  local object = { title = "Ingress default/web", value = { metadata = { annotations = written } } }
  return annotations.read(context, object), faults
end

describe("annotations", function()
  it("knows all 138 names of ingress-nginx, with their risks", function()
    local risks = {}
    for _, name in ipairs(annotations.names) do
      local risk = annotations.known[name].risk
      risks[risk] = (risks[risk] or 0) + 1
    end
    assert.equal(138, #annotations.names)
    -- 76 and 45 in the list of ingress-nginx, and the two aliases.
    assert.same({ Low = 77, Medium = 46, High = 10, Critical = 5 }, risks)
  end)

  it("has an honest declaration for each", function()
    for name, entry in pairs(annotations.known) do
      assert.is_function(entry.parse, name)
      assert.is_true(entry.scope == "ingress" or entry.scope == "location", name)
      assert.is_truthy(entry.doc or entry.alias_of or entry.replacement, name)
      assert.is_truthy(not entry.setting or settings.get(entry.setting), name)
      assert.is_truthy(entry.supported ~= "refused" or entry.replacement, name)
      assert.is_nil(removed[name], name)
    end
  end)

  for _, text in ipairs({ "1", "t", "T", "TRUE", "true", "True" }) do
    it("reads " .. text .. " as true", function()
      assert.is_true(read({ ["use-regex"] = text }).values["use-regex"])
    end)
  end

  for _, text in ipairs({ "yes", "on", "", " true" }) do
    it(("keeps the default for the boolean '%s' and warns"):format(text), function()
      local notes, faults = read({ ["ssl-redirect"] = text })
      assert.is_true(notes.values["ssl-redirect"])
      assert.equal("warning", faults[1].severity)
    end)
  end

  -- What an invalid value does: name, value, effect.
  local WRONG = {
    { "permanent-redirect", "ftp://x", "drop" },
    { "permanent-redirect", "https://x/$request_uri", "drop" },
    { "temporal-redirect", "//x", "drop" },
    { "server-alias", "a b", "drop" },
    { "upstream-hash-by", "$no_such_variable", "drop" },
    { "upstream-vhost", "a;b", "drop" },
    { "load-balance", "random", "drop" },
    { "auth-type", "ntlm", "drop" },
    { "connection-proxy-header", "upgrade", "drop" },
    { "limit-rps", "many", "drop" },
    { "whitelist-source-range", "10.0.0.0/33", "deny" },
    { "denylist-source-range", "x", "deny" },
    { "auth-secret", "a/b/c", "deny" },
    { "custom-headers", "../x", "deny" },
    { "auth-cache-duration", "\t", nil },
    { "proxy-read-timeout", "50s", nil },
    { "proxy-body-size", "15r", nil },
    { "backend-protocol", "SPDY", nil },
    { "affinity", "ip", nil },
    { "session-cookie-samesite", "lax", nil },
    { "rewrite-target", "relative", nil },
    { "proxy-redirect-to", "https://$1/$2", nil },
    { "proxy-cookie-path", "/one /$1", nil },
  }
  for _, case in ipairs(WRONG) do
    it(("of a wrong %s does: %s"):format(case[1], case[3] or "default"), function()
      local notes = read({ [case[1]] = case[2] })
      assert.equal(case[3] == "drop" or nil, notes.dropped)
      assert.equal(case[3] == "deny", notes.denied ~= nil)
    end)
  end

  it("lets the canonical name win over its alias", function()
    local notes = read({ ["whitelist-source-range"] = "10.0.0.0/8",
      ["allowlist-source-range"] = "::1" })
    assert.same({ "::1" }, notes.values["allowlist-source-range"])
    notes = read({ ["whitelist-source-range"] = "10.0.0.0/8" })
    assert.same({ "10.0.0.0/8" }, notes.values["allowlist-source-range"])
  end)

  it("refuses what guards and is not supported, only where it is on", function()
    local declaration = annotations.known["limit-rps"]
    declaration.supported = "later"
    finally(function()
      declaration.supported = nil
    end)
    assert.is_string(read({ ["limit-rps"] = "1" }).denied)
    assert.is_nil(read({ ["limit-rps"] = "0" }).denied)
  end)

  it("refuses every snippet, whatever it holds", function()
    for _, name in ipairs({ "configuration-snippet", "server-snippet", "auth-snippet",
      "modsecurity-snippet", "stream-snippet" }) do
      local notes, faults = read({ [name] = "a;\nb;\r" })
      assert.is_string(notes.denied, name)
      assert.equal("refused", faults[1].code)
      assert.equal(name, faults[1].annotation)
    end
  end)

  it("does not load what holds a line break or a blocked word", function()
    assert.is_true(read({ ["app-root"] = "/x\r" }).dropped)
    assert.is_true(read({ ["unknown-one"] = "a\nb" }).dropped)
    assert.is_true(read({ ["app-root"] = "/load_module" },
      { ["annotation-value-word-blocklist"] = "load_module,lua_" }).dropped)
  end)

  local LEVELS = {
    { "Low", "app-root", true }, { "Low", "use-regex", nil },
    { "Medium", "upstream-hash-by", true },
    { "Medium", "app-root", nil }, { "High", "upstream-hash-by", nil },
    { "Low", "whitelist-source-range", true }, { "Low", "limit-whitelist", nil },
  }
  for _, case in ipairs(LEVELS) do
    it(("at level %s %s %s"):format(case[1], case[3] and "refuses" or "takes", case[2]), function()
      local values = { ["use-regex"] = "true", ["upstream-hash-by"] = "$host",
        ["app-root"] = "/x" }
      local notes = read({ [case[2]] = values[case[2]] or "10.0.0.0/8" },
        { ["annotations-risk-level"] = case[1] })
      assert.equal(case[3], notes.dropped)
    end)
  end

  it("reads of a canary only what counts on one", function()
    local notes, faults = read({ canary = "true", ["canary-weight"] = "5",
      ["rewrite-target"] = "/x", affinity = "cookie" })
    assert.equal(5, notes.values["canary-weight"])
    assert.equal("cookie", notes.values.affinity)
    assert.equal("", notes.values["rewrite-target"])
    assert.equal("rewrite-target", faults[1].annotation)
  end)

  it("tells of names that are unknown or were removed", function()
    local _, faults = read({ ["ssl-redirct"] = "true" })
    assert.equal('unknown annotation; did you mean "ssl-redirect"?', faults[1].message)
    _, faults = read({ ["secure-backends"] = "true" })
    assert.equal("removed", faults[1].code)
  end)
end)

describe("template", function()
  it("splits a text into words and variables", function()
    assert.same({ { var = "request_uri" }, { text = "-" }, { var = "host" }, { text = "/x" } },
      template.parse("${request_uri}-$host/x"))
    assert.same({ { var = "http_x_user" } }, template.parse("$http_x_user"))
    assert.same({ { text = "plain" } }, template.parse("plain"))
    assert.same({}, template.parse(""))
  end)

  for _, text in ipairs({ "$nothing", "a$", "${host", "$1", "$arg_", "${}" }) do
    it("refuses " .. text, function()
      local parts, err = template.parse(text)
      assert.is_nil(parts)
      assert.is_string(err)
    end)
  end
end)
