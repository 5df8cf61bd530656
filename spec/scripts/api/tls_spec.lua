-- SPDX-License-Identifier: Apache-2.0
local tls = require("moongate.api.tls")

describe("profiles of TLS", function()
  it("are shared by who asks for the same, and bounded where requests name them", function()
    local first, _, is_new = tls.profile({ server_name = "a.test" })
    assert.is_true(is_new)
    assert.equal(first, (tls.profile({ server_name = "a.test" }, 0, 1)))
    local none, err = tls.profile({ server_name = "b.test" }, 0, 1)
    assert.is_nil(none)
    assert.matches("no further one is taken", err)
    assert.is_not_nil((tls.profile({ server_name = "b.test" })))
  end)
end)
