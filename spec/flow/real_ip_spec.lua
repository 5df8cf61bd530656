-- SPDX-License-Identifier: Apache-2.0
--
-- Who the client is, behind proxies: use-forwarded-headers, enable-real-ip, forwarded-for-header,
-- proxy-real-ip-cidr, and what the PROXY protocol makes of them.
local t = require("moongate.test")

local SENT = {
  Host = "a.test",
  ["X-Forwarded-For"] = "203.0.113.9, 192.0.2.7",
  ["X-Forwarded-Proto"] = "https",
  ["X-Forwarded-Host"] = "other.test",
  ["X-Forwarded-Port"] = "8443",
  ["X-Client"] = "198.51.100.4",
}

-- What backends get where all, the address alone, or nothing is believed.
local function all(address)
  return { ["x-real-ip"] = address, ["x-forwarded-for"] = address, ["x-forwarded-proto"] = "https",
    ["x-forwarded-host"] = "other.test", host = "other.test", ["x-forwarded-port"] = "8443",
    ["x-scheme"] = "https" }
end

local function address_alone(address)
  return { ["x-real-ip"] = address, ["x-forwarded-for"] = address, ["x-forwarded-proto"] = "http",
    ["x-forwarded-host"] = "a.test", host = "a.test", ["x-forwarded-port"] = "80",
    ["x-scheme"] = "http" }
end

local HERE, OTHERS = "127.0.0.0/8", "10.0.0.0/8"
local THROUGH_PROXY = "PROXY TCP4 203.0.113.1 127.0.0.1 4711 80\r\n"

local CASES = {
  ["nothing"] = { {}, address_alone("127.0.0.1") },
  ["use-forwarded-headers"] = { {
    ["use-forwarded-headers"] = true, ["proxy-real-ip-cidr"] = HERE }, all("192.0.2.7") },
  ["use-forwarded-headers and another header"] = { {
    ["use-forwarded-headers"] = true, ["proxy-real-ip-cidr"] = HERE,
    ["forwarded-for-header"] = "x-client" }, all("198.51.100.4") },
  ["enable-real-ip"] = { {
    ["enable-real-ip"] = true, ["proxy-real-ip-cidr"] = HERE }, address_alone("192.0.2.7") },
  ["enable-real-ip and a further proxy"] = { {
    ["enable-real-ip"] = true, ["proxy-real-ip-cidr"] = HERE .. ", 192.0.2.0/24" },
    address_alone("203.0.113.9") },
  ["enable-real-ip and another header"] = { {
    ["enable-real-ip"] = true, ["proxy-real-ip-cidr"] = HERE,
    ["forwarded-for-header"] = "X-Client" }, address_alone("198.51.100.4") },
  ["enable-real-ip and a header that is not there"] = { {
    ["enable-real-ip"] = true, ["proxy-real-ip-cidr"] = HERE,
    ["forwarded-for-header"] = "X-Nobody" }, address_alone("127.0.0.1") },
  ["enable-real-ip for other peers"] = { {
    ["enable-real-ip"] = true, ["proxy-real-ip-cidr"] = OTHERS }, address_alone("127.0.0.1") },
  ["trusted-proxies beside enable-real-ip"] = { {
    ["enable-real-ip"] = true, ["proxy-real-ip-cidr"] = HERE, ["trusted-proxies"] = "127.0.0.1" },
    all("192.0.2.7") },
  ["use-forwarded-headers beside enable-real-ip"] = { {
    ["use-forwarded-headers"] = true, ["enable-real-ip"] = true, ["proxy-real-ip-cidr"] = HERE },
    all("192.0.2.7") },
  ["the PROXY protocol"] = { { ["use-proxy-protocol"] = true },
    address_alone("203.0.113.1"), THROUGH_PROXY },
  ["the PROXY protocol and enable-real-ip"] = { {
    ["use-proxy-protocol"] = true, ["enable-real-ip"] = true },
    address_alone("203.0.113.1"), THROUGH_PROXY },
  ["the PROXY protocol and use-forwarded-headers"] = { {
    ["use-proxy-protocol"] = true, ["use-forwarded-headers"] = true,
    ["proxy-real-ip-cidr"] = "203.0.113.0/24" }, all("192.0.2.7"), THROUGH_PROXY },
}

describe("the client is known by", function()
  local gateway

  after_each(function()
    gateway:stop()
  end)

  for what, case in pairs(CASES) do
    it(what, function()
      local settings, wanted, before = unpack(case)
      gateway = t.gateway({ proxy = "${app}", upstreams = { app = true },
        settings = settings }):start()
      local head = t.http1.request({ path = "/", headers = SENT })
      local conn = gateway:connect()
      conn:write((before or "") .. head)
      assert.equal(200, t.http1.read_response(conn).status)
      conn:close()
      local seen, got = gateway:upstream("app"):request(1).headers, {}
      for name in pairs(wanted) do
        got[name] = seen[name]
      end
      assert.same(wanted, got)
    end)
  end
end)
