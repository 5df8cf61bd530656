-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local core = require("spec.support.core")

core.cdef({ "base/err.h", "http/h2/head.h" })
local C = core.C

local LIMITS = { head_bytes = 1000, target_bytes = 100, fields = 8, field_bytes = 200,
  drop_names = 3 }

local function vector(text)
  return ffi.new("nghttp2_vec", { ffi.cast("uint8_t *", text), #text })
end

describe("a head of HTTP/2", function()
  local arena, head, self, limits

  before_each(function()
    arena = ffi.gc(ffi.new("struct buf"), C.buf_fini)
    head = ffi.gc(ffi.new("struct head"), C.head_fini)
    self = ffi.new("struct h2_head")
    limits = ffi.new("struct http_limits", LIMITS)
  end)

  local function text(span)
    return ffi.string(arena.data + span.at, span.len)
  end

  local function put(name, value)
    return C.h2_head_field(self, limits, arena, head, vector(name), vector(value))
  end

  local function name_of(code)
    local name = code < 0 and ffi.string(C.err_name(code)):gsub("^ERR_", ""):lower()
    return name or nil
  end

  -- Puts fields and reads the request; what is wrong with it, or nil.
  local function request(fields, ended)
    for _, field in ipairs(fields) do
      local err = put(field[1], field[2])
      if err < 0 then
        return name_of(err), "at once"
      end
    end
    return name_of(C.h2_head_request(self, arena, head, ended == false and 0 or 1))
  end

  local function usual(...)
    return { { ":method", "GET" }, { ":scheme", "https" }, { ":authority", "a.test" },
      { ":path", "/x" }, ... }
  end

  local function field(name)
    local at = C.head_find(head, arena, name, #name, 0)
    return at >= 0 and text(head.fields[at].value) or nil
  end

  it("becomes what HTTP/1.1 would say", function()
    assert.is_nil(request(usual({ "x-a", "1" })))
    assert.equal("GET", text(head.method))
    assert.equal("/x", text(head.target))
    assert.equal("a.test", text(head.host))
    assert.equal("a.test", field("host"))
    assert.equal("1", field("x-a"))
    assert.equal(20, head.version)
    assert.equal(2, head.count)
    assert.equal(0, head.body_len)
  end)

  it("tells of a body by its length, or that there is one", function()
    assert.is_nil(request(usual({ "content-length", "12" }), false))
    assert.equal(12, tonumber(head.body_len))
    self, head.count = ffi.new("struct h2_head"), 0
    assert.is_nil(request(usual(), false))
    assert.equal(-1, tonumber(head.body_len))
  end)

  it("joins crumbs that stand apart", function()
    local before = {}
    for i = 1, 5 do
      assert.equal(0, put("cookie", "c" .. i))
      before[i] = "c" .. i
      assert.equal(0, put("x-" .. i, "y"))
    end
    assert.equal(table.concat(before, "; "), field("cookie"))
    assert.equal(6, head.count)
  end)

  it("grows by each copy of a cookie that stands apart", function()
    local i = 0
    repeat
      i = i + 1
      assert.equal(0, put("cookie", ("c"):rep(50)))
      put("x", "y")
      head.count = 1
    until self.err < 0 or i == 100
    assert.equal("headers_too_large", name_of(self.err))
    assert.is_true(arena.len < 4 * LIMITS.head_bytes, tonumber(arena.len))
  end)

  local DROPPED = {
    { 3, { "x-a" } },
    { 2, { "x-a", "x_a" } },
    { 1, { "x-a", "x.a", "x!a" } },
    { 0, { "x-a", "x_a", "x.a", "x!a" } },
  }
  for _, case in ipairs(DROPPED) do
    it("passes over odd names as it is told: " .. case[1], function()
      limits.drop_names = case[1]
      for _, name in ipairs({ "x-a", "x_a", "x.a", "x!a" }) do
        put(name, "1")
      end
      local kept = {}
      for i = 0, head.count - 1 do
        kept[i + 1] = text(head.fields[i].name)
      end
      assert.same(case[2], kept)
    end)
  end

  local LARGE = {
    { "a long target", { { ":path", "/" .. ("x"):rep(100) } }, "target_too_long" },
    { "a long field", { { "x", ("y"):rep(200) } }, "field_too_long" },
    { "many fields", (function()
      local list = {}
      for i = 1, 9 do
        list[i] = { "x-" .. i, "y" }
      end
      return list
    end)(), "headers_too_large" },
    { "many bytes", (function()
      local list = {}
      for i = 1, 7 do
        list[i] = { "x-" .. i, ("y"):rep(150) }
      end
      return list
    end)(), "headers_too_large" },
  }

  for _, case in ipairs(LARGE) do
    it(("is refused, once it is whole, for %s"):format(case[1]), function()
      local err, when = request(usual(unpack(case[2])))
      assert.equal(case[3], err)
      assert.is_nil(when)
    end)
  end

  it("is refused at once when it is far beyond its limit", function()
    local list = {}
    for i = 1, 50 do
      list[i] = { "x", ("y"):rep(150) }
    end
    local err, when = request(usual(unpack(list)))
    assert.equal("headers_too_large", err)
    assert.equal("at once", when)
    assert.is_true(arena.len <= LIMITS.head_bytes)
  end)

  it("makes an upgrade of extended CONNECT", function()
    assert.is_nil(request({ { ":method", "CONNECT" }, { ":protocol", "websocket" },
      { ":scheme", "https" }, { ":authority", "a.test" }, { ":path", "/chat" },
      { "sec-websocket-key", "mine" } }, false))
    assert.equal("GET", text(head.method))
    assert.equal("websocket", field("upgrade"))
    assert.equal("Upgrade", field("connection"))
    assert.equal(24, #field("sec-websocket-key"))
    assert.equal(1, head.upgrade)
    assert.equal(0, head.body_len)
  end)

  local WRONG = {
    ["no method"] = { fields = { { ":scheme", "http" }, { ":path", "/" } } },
    ["another scheme"] = { fields = { { ":method", "GET" }, { ":scheme", "ftp" },
      { ":path", "/" }, { ":authority", "a" } } },
    ["no host"] = { fields = { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/" } } },
    ["another Host"] = { fields = usual({ "host", "b.test" }) },
    ["two Hosts"] = { fields = usual({ "host", "a.test" }, { "host", "a.test" }) },
    ["a target without a slash"] = { fields = { { ":method", "GET" }, { ":scheme", "http" },
      { ":path", "x" }, { ":authority", "a" } } },
    ["CONNECT"] = { err = "method", fields = { { ":method", "CONNECT" },
      { ":authority", "a:1" } } },
    ["another protocol"] = { err = "not_implemented", fields = { { ":method", "CONNECT" },
      { ":protocol", "x" }, { ":scheme", "http" }, { ":authority", "a" }, { ":path", "/" } } },
    ["an expectation"] = { err = "expectation", fields = usual({ "expect", "x" }) },
  }

  for what, case in pairs(WRONG) do
    it(("is refused with %s"):format(what), function()
      assert.equal(case.err or "bad_request", request(case.fields, false))
    end)
  end
end)
