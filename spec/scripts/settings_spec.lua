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
  }
  for _, case in ipairs(CASES) do
    it(("reads %s of %s"):format(case[2], case[1]), function()
      assert.equal(case[3], (settings.parse(case[1], case[2])))
    end)
  end

  it("reads number and size of buffers", function()
    local buffers = settings.parse("large-client-header-buffers", "4 8k")
    assert.same({ number = 4, size = 8192 }, buffers)
  end)

  local WRONG = {
    { "proxy-read-timeout", "4 apples", "invalid" },
    { "proxy-read-timeout", "50k", "invalid" },
    { "proxy-body-size", "15r", "invalid" },
    { "hsts", "yes", "invalid" },
    { "http-redirect-code", "200", "invalid" },
    { "limit-req-status-code", "200", "invalid" },
    { "whitelist-source-range", "10.0.0.0/8,10.0.0.0/33", "invalid" },
    { "large-client-header-buffers", "8k", "invalid" },
    { "add-headers", "no-namespace", "invalid" },
    { "http-snippet", "x", "refused" },
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
  -- Words in quotes of all Lua but the list itself.
  local function words()
    local found = {}
    local pipe = assert(io.popen("LD_PRELOAD= find scripts plugins -name '*.lua'"))
    for path in pipe:lines() do
      if not path:find("moongate/settings/", 1, true) then
        local file = assert(io.open(path, "rb"))
        for word in file:read("*a"):gmatch('"([%l%d-]+)"') do
          found[word] = true
        end
        file:close()
      end
    end
    pipe:close()
    for _, name in ipairs({ "via", "hsts" }) do
      found[name] = true -- fields of tables somewhere
    end
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
