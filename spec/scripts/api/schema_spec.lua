-- SPDX-License-Identifier: Apache-2.0
local json = require("moongate.api.json")
local s = require("moongate.api.schema")

local function lines(kind, value)
  local _, faults = kind:read(value)
  local list = {}
  for i, fault in ipairs(faults or {}) do
    local hint = fault.hint and " (" .. fault.hint .. ")" or ""
    list[i] = fault.path .. ": " .. fault.message .. hint
  end
  return list
end

describe("a schema", function()
  it("fills in defaults and gives typed values", function()
    local kind = s.record({
      limit = s.integer():required(),
      window = s.duration():default("1m"),
      size = s.bytes():default("8k"),
      share = s.percent():default("12.5%"),
      words = s.array(s.string()):default({ "a" }),
    })
    local typed = kind:read({ limit = 5 })
    assert.same(
      { limit = 5, window = 60, size = 8192, share = 12.5, words = json.array({ "a" }) },
      typed
    )
  end)

  it("tells all faults at once, by path, with the nearest name", function()
    local kind = s.record({
      sync = s.enum("local", "cluster"):required(),
      windows = s.array(s.record({ limit = s.integer():required():min(1), window = s.duration() })),
    })
    assert.same(
      {
        "config.sync: must be one of local, cluster (did you mean \"cluster\"?)",
        "config.windows[0].limit: is required",
        "config.windows[0].lmit: unknown field (did you mean \"limit\"?)",
        "config.windows[1].limit: must be at least 1",
        "config.windows[1].window: must be a duration, such as 4, 4s or 250ms",
        "config.windows[2]: must be a mapping, not a string",
      },
      lines(kind, {
        sync = "clustr",
        windows = { { lmit = 3 }, { limit = 0, window = "soon" }, "x" },
      })
    )
  end)

  it("gives keys by which a position can be found", function()
    local _, faults = s.record({ list = s.array(s.integer()) }):read({ list = { 1, "x" } })
    assert.same({ "list", 2 }, faults[1].keys)
  end)

  it("shows no value of a secret", function()
    local kind = s.record({ token = s.enum("abcdef"):secret() })
    assert.same({ "config.token: must be one of abcdef" }, lines(kind, { token = "abcdeg" }))
  end)

  describe("redacts", function()
    local token = s.string():secret()
    local one_of = s.one_of(s.integer(), s.record({ token = token }), s.array(s.string()))
    -- what, type, value, what is shown
    local ROWS = {
      { "a field of a record", s.record({ token = token, a = s.integer() }), { token = "x", a = 1 },
        { token = "…", a = 1 } },
      { "a field whatever it holds", s.record({ token = token }), { token = { "x", { 1 } } },
        { token = "…" } },
      { "a field that is not known", s.record({ token = token }), { tokn = "x" }, { tokn = "…" } },
      { "what is no record", s.record({ token = token }), "x", "…" },
      { "entries of a list", s.array(s.record({ token = token })), { { token = "x" }, {} },
        { { token = "…" }, {} } },
      { "values of a map", s.map(token), { a = "x", b = json.null }, { a = "…", b = json.null } },
      { "a map with names that are secret", s.map(token, s.string()), { x = "ali" }, "…" },
      { "by the type of several that fits", one_of, { token = "x" }, { token = "…" } },
      { "nothing by a type that has no secret", one_of, { "x" }, { "x" } },
      { "what fits no type of several", one_of, { token = 1, x = 2 }, "…" },
      { "no text that is not secret", s.string(), "x", "x" },
    }
    for _, row in ipairs(ROWS) do
      it(row[1], function()
        assert.same(row[4], row[2]:redact(row[3]))
      end)
    end
  end)

  it("lets null be absent", function()
    local kind = s.record({ a = s.integer():default(1), b = s.integer():default(1):nullable() })
    assert.same({ a = 1 }, (kind:read({ a = json.null, b = json.null })))
  end)

  it("warns of what is deprecated and still reads it", function()
    local kind = s.record({ old = s.integer():deprecated({ use = "new" }), new = s.integer() })
    local typed, warnings = kind:read({ old = 2 })
    assert.same({ old = 2 }, typed)
    assert.equal("warning", warnings[1].severity)
    assert.equal("use \"new\"", warnings[1].hint)
  end)

  it("keeps false, and false as a default", function()
    local kind = s.record({ a = s.boolean():default(true), b = s.boolean():default(false) })
    assert.same({ a = false, b = false }, (kind:read({ a = false })))
  end)

  it("reads a map with its names checked", function()
    local kind = s.map(s.header_name(), s.integer())
    assert.same({ ["x-a"] = 1 }, (kind:read({ ["x-a"] = 1 })))
    assert.same({ "config.a b: must be the name of a header" }, lines(kind, { ["a b"] = 1 }))
  end)

  it("takes the first type of several that fits", function()
    local kind = s.one_of(s.integer(), s.array(s.integer()))
    assert.equal(3, (kind:read(3)))
    assert.same(json.array({ 3 }), (kind:read({ 3 })))
    assert.same({ "config: must be a number, not a string, or must be a list, not a string" },
      lines(kind, "x"))
  end)

  it("says so when a builder is misused", function()
    assert.has_error(function()
      s.string():min(1)
    end, "min, max and between are for numbers, durations, sizes and percentages")
    assert.has_error(function()
      s.record({ a = "string" })
    end, 'mg.schema: field "a" is no type; write s.string() and the like')
  end)

  describe("of records has rules:", function()
    local function record()
      return s.record({ a = s.integer(), b = s.integer(), mode = s.string() })
    end
    local cases = {
      { record():at_least_one_of({ "a", "b" }), {}, 'one of "a" or "b" is required' },
      { record():at_least_one_of({ "a", "b" }), { a = 1, b = 1 }, nil },
      { record():exactly_one_of({ "a", "b" }), { a = 1, b = 1 },
        'exactly one of "a" or "b" is required' },
      { record():mutually_exclusive({ "a", "b" }), { a = 1, b = 1 },
        'only one of "a" or "b" may be there' },
      { record():all_or_none({ "a", "b" }), { a = 1 }, 'all of "a" and "b" are needed, or none' },
      { record():requires({ if_field = "mode", equals = "x", then_required = "a" }), { mode = "x" },
        '"a" is required when mode = "x"' },
      { record():requires({ if_field = "mode", equals = "x", then_required = "a" }), { mode = "y" },
        nil },
      { record():requires({ if_field = "a", then_required = { "b" } }), { a = 1 },
        '"b" is required when "a" is set' },
      { record():check(function(conf)
        return conf.a and conf.a > 3 and "a is too much" or nil
      end), { a = 4 }, "a is too much" },
    }
    for i, case in ipairs(cases) do
      it(("case %d gives %s"):format(i, tostring(case[3])), function()
        assert.same({ case[3] and "config: " .. case[3] }, lines(case[1], case[2]))
      end)
    end
  end)
end)

describe("the type", function()
  local good = {
    { "string", "", "" }, { "number", 1.5, 1.5 }, { "integer", 3, 3 }, { "boolean", true, true },
    { "any", "x", "x" }, { "duration", "250ms", 0.25 }, { "duration", 3, 3 },
    { "bytes", "10MiB", 10485760 }, { "percent", 100, 100 },
    { "url", "https://a.test:1/x?y", "https://a.test:1/x?y" }, { "host", "a-b.test", "a-b.test" },
    { "port", 65535, 65535 }, { "ip", "::1", "::1" }, { "cidr", "10.0.0.0/8", "10.0.0.0/8" },
    { "http_method", "GET", "GET" }, { "status_code", 599, 599 }, { "header_name", "X-A", "X-A" },
    { "header_value", "a\tb", "a\tb" }, { "cookie_name", "sid", "sid" }, { "path", "/a", "/a" },
  }
  for _, case in ipairs(good) do
    it(("%s reads %s"):format(case[1], tostring(case[2])), function()
      assert.equal(case[3], (s[case[1]]():read(case[2])))
    end)
  end

  local bad = {
    { "string", 5, "must be a string, not a number" },
    { "number", "5", "must be a number, not a string" },
    { "integer", 1.5, "must be a whole number" },
    { "boolean", "yes", "must be true or false, not a string" },
    { "duration", -1, "must not be below 0" },
    { "bytes", "1x", "must be a size, such as 8192, 8k or 1m" },
    { "percent", "101%", "must be a percentage from 0 to 100, such as 12.5%" },
    { "url", "ftp://x", "must be a URL of the form http(s)://host[:port][/path]" },
    { "host", "a/b", "must be the name of a host" }, { "port", 0, "must be a port, 1 to 65535" },
    { "ip", "10.0.0.0/8", "must be an IP address" }, { "ip", "1.2.3", "must be an IP address" },
    { "cidr", "10.0.0.0/33", "must be a network or an address, such as 10.0.0.0/8" },
    { "http_method", "get", "must be a method in capitals, such as GET" },
    { "status_code", 99, "must be a status code, 200 to 599" },
    { "header_name", "a:b", "must be the name of a header" },
    { "header_value", "a\nb", "must not hold control characters" },
    { "header_value", "a\0b", "must not hold control characters" },
    { "cookie_name", "a=b", "must be the name of a cookie" },
    { "path", "a", "must begin with '/', without white space" },
    { "template", "$nothing", "there is no variable $nothing; see the list of variables" },
  }
  for _, case in ipairs(bad) do
    it(("%s refuses %q"):format(case[1], tostring(case[2])), function()
      local value, faults = s[case[1]]():read(case[2])
      assert.is_nil(value)
      assert.equal(case[3], faults[1].message)
    end)
  end

  it("regex gives a compiled pattern", function()
    local compiled = s.regex({ ignore_case = true }):read("^a+$")
    assert.is_true(compiled:test("AA"))
    assert.is_false(compiled:test("b"))
    local _, faults = s.regex():read("(")
    assert.matches("^is no pattern: ", faults[1].message)
  end)

  it("template gives parts, and takes parts", function()
    local parts = { { text = "a" }, { var = "host" } }
    assert.same(parts, (s.template():read("a$host")))
    assert.same(parts, (s.template():read(parts)))
  end)
end)

describe("json_schema", function()
  it("tells types, limits, defaults and what is required", function()
    local kind = s.record({
      limit = s.integer():required():between(1, 9):description("how many"),
      window = s.duration():default("1m"):min("1s"),
      names = s.array(s.string():len(1, 3)):len(0, 5),
      mode = s.enum("a", "b"):nullable(),
    })
    assert.same({
      ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
      type = "object",
      additionalProperties = false,
      required = { "limit" },
      properties = {
        limit = { type = "integer", minimum = 1, maximum = 9, description = "how many" },
        window = { type = { "number", "string" }, default = "1m" },
        names = { type = "array", maxItems = 5, minItems = 0,
          items = { type = "string", minLength = 1, maxLength = 3 } },
        mode = { anyOf = { { enum = { "a", "b" } }, { type = "null" } } },
      },
    }, kind:json_schema())
  end)
end)
