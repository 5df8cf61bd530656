-- SPDX-License-Identifier: Apache-2.0
local traffic = require("spec.support.traffic")

local reader = require("moongate.snapshot.reader")
local route = require("moongate.route")

describe("route.explain", function()
  local snapshot

  setup(function()
    snapshot = traffic.snapshot({
      hosts = {
        ["a.test"] = {
          routes = {
            { id = "root", path = { type = "prefix", value = "/" } },
            { id = "a", path = { type = "prefix", value = "/a" }, methods = { "POST", "PUT" } },
            { id = "text", path = { type = "prefix_text", value = "/a" } },
            { id = "regex", path = { type = "regex", value = "/a(b|$)" }, priority = 2 },
            {
              id = "exact",
              path = { type = "exact", value = "/a" },
              headers = { { name = "X", type = "exact", value = "1" } },
              query = { { name = "q", type = "present" } },
              fault = "it is broken",
              source = { kind = "Ingress" },
            },
            { id = "costly", path = { type = "regex", value = "/c(a+)+$" } },
          },
        },
        ["*.a.test"] = { routes = {}, single_label = true },
        ["*.test"] = { routes = {} },
      },
    })
  end)

  local function explain(fields)
    return route.explain(snapshot, traffic.request(fields), 1)
  end

  local function lost(explained)
    local list = {}
    for i, candidate in ipairs(explained.candidates) do
      list[i] = ("%s: %s"):format(candidate.id, candidate.lost or "won")
    end
    return list
  end

  it("tells the candidates in order and why each lost", function()
    assert.are.same({
      'exact: header x is not "1"',
      "regex: won",
      "a: the method is GET, wanted is POST, PUT",
      'text: "regex" comes first',
      'root: "regex" comes first',
    }, lost(explain({ path = "/a" })))
  end)

  it("tells the next condition when the first holds", function()
    local explained = explain({ path = "/a", headers = { x = { "1" } } })
    assert.are.equal("exact: query parameter q is absent", lost(explained)[1])
  end)

  it("tells all about the winner", function()
    local explained = explain({ path = "/a", headers = { x = { "1" } }, query = "q" })
    assert.are.same({
      id = "exact",
      path_type = "exact",
      path = "/a",
      priority = 0,
      source = '{"kind":"Ingress"}',
      fault = "it is broken",
    }, explained.route)
  end)

  it("tells which hosts were looked up", function()
    assert.are.same({
      { name = "y.x.a.test", lost = "there is no such host", taken = false },
      { name = "*.x.a.test", lost = "there is no such host", taken = false },
      { name = "*.a.test", lost = "it stands for one label only", taken = false },
      { name = "*.test", taken = true },
    }, explain({ host = "y.x.a.test" }).hosts)
  end)

  it("tells that there is no route", function()
    local explained = explain({ host = "x.test" })
    assert.is_nil(explained.route)
    assert.are.same({}, explained.candidates)
  end)

  it("tells of a pattern that took too much effort", function()
    local explained = explain({ path = "/c" .. ("a"):rep(40) .. "!" })
    assert.are.equal("costly", explained.route.id)
    assert.is_true(explained.route.limit)
  end)

  local REQUESTS = {
    { path = "/" },
    { path = "/a" },
    { path = "/ab" },
    { path = "/a/b", method = "PUT" },
    { path = "/a/b" },
    { path = "/ax" },
    { path = "/a", headers = { x = { "2", "1" } }, query = "q=1" },
  }
  for i, fields in ipairs(REQUESTS) do
    it(("agrees with match on request %d"):format(i), function()
      local request = traffic.request(fields)
      local found = route.match(snapshot, request, 1)
      assert.are.equal(reader.route_id(found), route.explain(snapshot, request, 1).route.id)
    end)
  end
end)
