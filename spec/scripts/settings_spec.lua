-- SPDX-License-Identifier: Apache-2.0
local settings = require("moongate.settings")

describe("settings", function()
  it("reads every default by the type of its setting", function()
    for _, setting in ipairs(settings.list) do
      local value, err = settings.parse(setting.name, setting.default)
      assert.is_not_nil(value, setting.name .. ": " .. tostring(err))
    end
  end)

  local CASES = {
    { "proxy-read-timeout", "4", 4000 },
    { "proxy-read-timeout", "4s", 4000 },
    { "proxy-read-timeout", "250ms", 250 },
    { "proxy-read-timeout", "1m30s", 90000 },
    { "proxy_read_timeout", 2, 2000 },
    { "proxy-body-size", "8k", 8192 },
    { "proxy-body-size", "1M", 1048576 },
    { "proxy-body-size", "0", 0 },
    { "hsts", "F", false },
    { "hsts", true, true },
    { "proxy-buffering", "on", true },
    { "worker-processes", "auto", "auto" },
    { "worker-processes", "4", 4 },
    { "http-redirect-code", "301", "301" },
    { "annotations-risk-level", "critical", "Critical" },
  }
  for _, case in ipairs(CASES) do
    it(("reads %s of %s"):format(case[2], case[1]), function()
      assert.equal(case[3], (settings.parse(case[1], case[2])))
    end)
  end

  it("reads an address in binary as the address", function()
    for text, parts in pairs({
      ["$binary_remote_addr"] = { { var = "remote_addr" } },
      ["${binary_remote_addr}s"] = { { var = "remote_addr" }, { text = "s" } },
      ["$host $binary_remote_addr"] =
        { { var = "host" }, { text = " " }, { var = "remote_addr" } },
      ["$http_binary_remote_addr"] = { { var = "http_binary_remote_addr" } },
    }) do
      assert.same(parts, (settings.parse("limit-conn-zone-variable", text)))
    end
  end)

  it("reads times of a cache in nginx's units", function()
    local read = settings.parse("global-auth-cache-duration",
      "200 500ms, 201 202 2w, 401 7, 404 1y")
    assert.same({
      { status = { 200 }, time = "500ms" },
      { status = { 201, 202 }, time = "14d" },
      { status = { 401 }, time = "7s" },
      { status = { 404 }, time = "365d" },
    }, read)
    assert.is_nil((settings.parse("global-auth-cache-duration", "200 5f")))
  end)

  it("takes a time that is too long for one that never ends", function()
    assert.equal(2147483647, settings.parse("keep-alive", ("9"):rep(320) .. "d"))
  end)

  it("reads number and size of buffers", function()
    local buffers = settings.parse("large-client-header-buffers", "4 8k")
    assert.same({ number = 4, size = 8192 }, buffers)
  end)

  local WRONG = {
    { "proxy-read-timeout", "4 apples", "invalid" },
    { "proxy-read-timeout", "50k", "invalid" },
    { "proxy-body-size", "15r", "invalid" },
    { "http2-stream-window", "2g", "invalid" },
    { "http2-connection-window", "32k", "invalid" },
    { "hsts", "yes", "invalid" },
    { "http-redirect-code", "200", "invalid" },
    { "limit-req-status-code", "200", "invalid" },
    { "whitelist-source-range", "10.0.0.0/8,10.0.0.0/33", "invalid" },
    { "large-client-header-buffers", "8k", "invalid" },
    { "add-headers", "no-namespace", "invalid" },
    { "limit-conn-zone-variable", "", "invalid" },
    { "limit-conn-zone-variable", "$binary_remote", "invalid" },
    { "forwarded-for-header", "", "invalid" },
    { "proxy-body-size", ("9"):rep(320) .. "m", "invalid" },
    { "max-header-size", "8g", "invalid" },
    { "large-client-header-buffers", "4 99999999999999g", "invalid" },
    { "hide-headers", "X-A, X B", "invalid" },
    { "forwarded-for-header", "X Y", "invalid" },
    { "forwarded-for-header", ("x"):rep(65), "invalid" },
    { "http-snippet", "x", "refused" },
    { "enable-modsecurity", "true", "refused" },
    { "enable-modsecurity", "false", "ignored" },
    { "map-hash-bucket-size", "64", "ignored" },
    { "proxy-read-timout", "4", "unknown" },
  }
  for _, case in ipairs(WRONG) do
    it(("judges %s of %s as %s"):format(case[2], case[1], case[3]), function()
      local value, err, code = settings.parse(case[1], case[2])
      assert.is_nil(value)
      assert.is_string(err)
      assert.equal(case[3], code)
    end)
  end

  it("names the nearest setting for one that is unknown", function()
    local _, err = settings.parse("proxy-raed-timeout", "4")
    assert.equal('unknown setting; did you mean "proxy-read-timeout"?', err)
  end)

  it("names none when nothing is near", function()
    local _, err = settings.parse("zzzzzzzzzz", "4")
    assert.equal("unknown setting; see the list of settings", err)
  end)

  it("splits lists at commas without their blanks", function()
    assert.same({ "X-A", "X-B" }, (settings.parse("hide-headers", " X-A , X-B ,")))
  end)

  it("keeps the default of a setting that is wrong and tells of it", function()
    local told = {}
    local typed, accepted = settings.read({ ["hsts-max-age"] = "x", ["keep_alive"] = "3" },
      function(name, _, code)
        told[name] = code
      end)
    assert.equal(31536000, typed["hsts-max-age"])
    assert.equal(3000, typed["keep-alive"])
    assert.same({ ["keep-alive"] = "3" }, accepted)
    assert.same({ ["hsts-max-age"] = "invalid" }, told)
  end)
end)

describe("a setting that nothing follows from", function()
  -- Words in quotes and fields in all Lua but the list itself, and the tables of annotations, which
  -- share many names with it.
  local function is_left_out(path)
    return path:find("moongate/settings/", 1, true)
      or path:find("translate/annotations/", 1, true) and not path:find("/init.lua", 1, true)
  end

  local function words()
    local found = {}
    local pipe = assert(io.popen("LD_PRELOAD= find scripts plugins -name '*.lua'"))
    for path in pipe:lines() do
      if not is_left_out(path) then
        local file = assert(io.open(path, "rb"))
        local text = file:read("*a")
        for _, pattern in ipairs({ '"([%l%d-]+)"', "[%w_%])]%.(%l+)%f[^%w_]", "%f[%w_](%l+) =" }) do
          for word in text:gmatch(pattern) do
            found[word] = true
          end
        end
        file:close()
      end
    end
    pipe:close()
    return found
  end

  it("is marked as such", function()
    local found, silent = words(), {}
    for _, setting in ipairs(settings.list) do
      if not setting.unsupported and not found[setting.name] then
        silent[#silent + 1] = setting.name
      end
    end
    assert.same({}, silent)
  end)

  it("has a value that says what happens, of its own type", function()
    for _, setting in ipairs(settings.list) do
      local _, err = settings.parse(setting.name, setting.does)
      assert.is_nil(err, setting.name)
    end
  end)
end)
