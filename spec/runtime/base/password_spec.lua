-- SPDX-License-Identifier: Apache-2.0
local core = require("spec.support.core")
core.cdef({ "base/password.h" })
local C = core.C

local function check(password, hash)
  return C.password_check(password, #password, hash, #hash)
end

local function openssl(kind, salt, password)
  local command = ("LD_PRELOAD= openssl passwd %s -salt %s '%s'"):format(kind, salt, password)
  local pipe = io.popen(command)
  local hash = pipe:read("*l")
  pipe:close()
  return hash
end

describe("password_check", function()
  for _, kind in ipairs({ "-apr1", "-1", "-5", "-6" }) do
    for _, password in ipairs({ "secret", "a", "one that is longer than sixteen bytes", "ä" }) do
      it(("knows what openssl passwd %s made of %q"):format(kind, password), function()
        local hash = openssl(kind, "abcdefgh", password)
        assert.equal(1, C.password_is_known(hash, #hash))
        assert.equal(1, check(password, hash))
        assert.equal(0, check(password .. "x", hash))
        assert.equal(0, check("", hash))
      end)
    end
  end

  -- Vectors of crypt_blowfish and of PHP's crypt(), and what `htpasswd -nbs` gives.
  local fixed = {
    { "bcrypt", "U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW" },
    { "bcrypt by htpasswd", "U*U",
      "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW" },
    { "{SHA}", "password", "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=" },
    { "the old crypt", "rasmuslerdorf", "rl.3StKT.4T8M" },
  }
  for _, case in ipairs(fixed) do
    it("knows " .. case[1], function()
      assert.equal(1, check(case[2], case[3]))
      assert.equal(0, check("x" .. case[2], case[3]))
    end)
  end

  it("knows {SSHA}", function()
    local pipe = io.popen("LD_PRELOAD= sh -c \"{ printf 'secretSALT' | openssl dgst -sha1 -binary; "
      .. "printf SALT; } | openssl base64 -A\"")
    local hash = "{SSHA}" .. pipe:read("*l")
    pipe:close()
    assert.equal(1, check("secret", hash))
    assert.equal(0, check("secrets", hash))
  end)

  for _, hash in ipairs({ "secret", "{PLAIN}secret", "", "*", "$9$x$y", "{SHA}", "{SHA}c2VjcmV0",
    "$apr1$nodollar", "$apr1$", "$2y$05$short", "{SHA}====", ("x"):rep(300),
    "$5$rounds=5000001$salt$hash", "$6$rounds=99999999999999999999$salt$hash",
    "$2y$17$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW" }) do
    it(("matches nothing with %q"):format(hash), function()
      assert.equal(0, check("secret", hash))
      assert.equal(0, check(hash, hash))
    end)
  end

  it("refuses a password with a NUL or beyond 511 bytes", function()
    local hash = openssl("-6", "abcdefgh", "secret")
    assert.equal(0, check("secret\0x", hash))
    assert.equal(0, check(("x"):rep(512), hash))
  end)
end)
