-- SPDX-License-Identifier: Apache-2.0
local t = require("moongate.test")

describe("the plugin compress", function()
  local CONF = { gzip = { types = { "text/plain" } }, brotli = { types = { "text/plain" } } }
  local BODY = ("moon and gate "):rep(200)

  local function ask(conf, accepted, answer, request)
    answer = answer or {}
    answer.headers = answer.headers or {}
    answer.headers["Content-Type"] = answer.headers["Content-Type"] or "text/plain; charset=utf-8"
    answer.body = answer.body or BODY
    request = request or {}
    request.headers = { ["Accept-Encoding"] = accepted }
    return t.plugin("compress", conf):upstream(answer):request(request)
  end

  for accepted, coding in pairs({
    ["gzip"] = "gzip",
    ["gzip, br"] = "br",
    ["br;q=0, gzip;q=0.5"] = "gzip",
    ["*"] = "br",
    ["*;q=0"] = "identity",
    ["identity"] = "identity",
    ["deflate"] = "identity",
    ["gzip;q=0"] = "identity",
    ["GZIP"] = "gzip",
  }) do
    it(("answers %s with %s"):format(accepted, coding), function()
      local response = ask(CONF, accepted)
      assert.equal(coding ~= "identity" and coding or nil, response.headers["content-encoding"])
      assert.equal("Accept-Encoding", response.headers.vary)
      assert.equal(coding == "identity", response.body == BODY)
      assert.equal(coding == "identity", #response.body > 300)
    end)
  end

  it("does not take another name for Accept-Encoding in Vary", function()
    for vary, wanted in pairs({
      ["X-Accept-Encoding"] = "X-Accept-Encoding, Accept-Encoding",
      ["accept-encoding"] = "accept-encoding",
    }) do
      local h = t.plugin("compress", CONF):upstream({ body = BODY,
        headers = { ["Content-Type"] = "text/html", Vary = vary } })
      assert.equal(wanted, h:request({ headers = { ["Accept-Encoding"] = "gzip" } }).headers.vary)
    end
  end)

  it("leaves alone what is not to be compressed", function()
    for what, answer in pairs({
      ["a type that is not listed"] = { headers = { ["Content-Type"] = "image/png" } },
      ["a short body"] = { body = "short" },
      ["a coding"] = { headers = { ["Content-Encoding"] = "zstd" } },
      ["no-transform"] = { headers = { ["Cache-Control"] = "no-transform" } },
      ["another status"] = { status = 500 },
    }) do
      local response = ask({ gzip = CONF.gzip }, "gzip", answer)
      assert.equal(answer.body or BODY, response.body, what)
    end
    assert.is_nil(ask(CONF, "gzip", {}, { method = "HEAD" }).headers["content-encoding"])
  end)

  it("makes a strong validator weak, and takes ranges back", function()
    local response = ask(CONF, "gzip", { headers = { ETag = '"a"', ["Accept-Ranges"] = "bytes" } })
    assert.equal('W/"a"', response.headers.etag)
    assert.is_nil(response.headers["accept-ranges"])
    assert.is_nil(response.headers["content-length"])
  end)

  it("knows agents that are not to get gzip", function()
    local conf = { gzip = CONF.gzip, not_for = "MSIE [1-6]" }
    local h = t.plugin("compress", conf)
      :upstream({ headers = { ["Content-Type"] = "text/plain" }, body = BODY })
    local headers = { ["Accept-Encoding"] = "gzip", ["User-Agent"] = "Mozilla (MSIE 6.0)" }
    assert.is_nil(h:request({ headers = headers }).headers["content-encoding"])
  end)
end)
