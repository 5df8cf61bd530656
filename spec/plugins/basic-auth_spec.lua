-- SPDX-License-Identifier: Apache-2.0
local t = require("moongate.test")

-- The password of each is "password".
local SHA = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="
local APR1 = "$apr1$xxxxxxxx$dxHfLAsjHkDRmG83UXe8K0"

-- `printf NAME:PASSWORD | base64`
local ADA = "Basic YWRhOnBhc3N3b3Jk"
local ADA_WRONG = "Basic YWRhOndyb25n"
local BOB = "Basic Ym9iOnBhc3N3b3Jk"

local function ask(h, authorization)
  return h:request({ headers = { Authorization = authorization } })
end

describe("the plugin basic-auth", function()
  it("asks, naming the realm", function()
    local h = t.plugin("basic-auth", { users = { "ada:" .. SHA }, realm = 'the "back"' })
    local response = h:request()
    assert.equal(401, response.status)
    assert.equal('Basic realm="the \\"back\\""', response.headers["www-authenticate"])
    assert.equal(0, #h.requests)
  end)

  for form, hash in pairs({ ["{SHA}"] = SHA, apr1 = APR1 }) do
    it("lets in who knows the password of " .. form .. ", again and again", function()
      local h = t.plugin("basic-auth", { users = { "# comment", "ada:" .. hash .. ":more" } })
      for _ = 1, 3 do
        assert.equal(200, ask(h, ADA).status)
        assert.equal(401, ask(h, ADA_WRONG).status)
        assert.equal(401, ask(h, BOB).status)
      end
      assert.equal(3, #h.requests)
    end)
  end

  local broken = { "Basic", "Basic !!!!", "Bearer YWRhOnBhc3N3b3Jk", "Basic YWRh", "" }
  for _, value in ipairs(broken) do
    it(("asks again after %q"):format(value), function()
      local h = t.plugin("basic-auth", { users = { "ada:" .. SHA } })
      assert.equal(401, ask(h, value).status)
    end)
  end

  it("keeps credentials from the service unless told otherwise", function()
    local h = t.plugin("basic-auth", { users = { "ada:" .. SHA } })
    ask(h, ADA)
    assert.is_nil(h.requests[1].headers.authorization)
    h = t.plugin("basic-auth", { users = { "ada:" .. SHA }, hide_credentials = false })
    ask(h, ADA)
    assert.equal(ADA, h.requests[1].headers.authorization)
  end)

  it("tells the plugins that follow who it is", function()
    local seen
    local h = t.plugins({
      { "basic-auth", { users = { "ada:" .. SHA } } },
      { { name = "see", access = function(ctx)
        seen = { ctx.consumer.username, ctx:is_anonymous(), ctx:var("remote_user") }
      end, stage = "observe" } },
    })
    ask(h, ADA)
    assert.same({ "ada", false, "ada" }, seen)
  end)

  it("lets nobody in by a password that is stored as it is", function()
    local h = t.plugin("basic-auth", { users = { "ada:password" } })
    assert.equal(401, ask(h, ADA).status)
  end)

  it("lets nobody in when there are no users", function()
    assert.equal(401, ask(t.plugin("basic-auth", { users = {} }), ADA).status)
  end)
end)
