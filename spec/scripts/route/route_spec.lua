-- SPDX-License-Identifier: Apache-2.0
local traffic = require("spec.support.traffic")

local reader = require("moongate.snapshot.reader")
local route = require("moongate.route")

describe("route.match", function()
  -- Routes are {id, type, path, fields}.
  local function routes(list)
    local made = {}
    for i, item in ipairs(list) do
      made[i] = { id = item[1], path = { type = item[2], value = item[3] } }
      for key, value in pairs(item[4] or {}) do
        made[i][key] = value
      end
    end
    return made
  end

  local function host(list, fields)
    local made = fields or {}
    made.routes = routes(list)
    return made
  end

  local function id_of(snapshot, request)
    local found, err = route.match(snapshot, traffic.request(request), 1)
    return found ~= nil and reader.route_id(found) or nil, err
  end

  local function check(hosts, cases)
    local snapshot = traffic.snapshot({ hosts = hosts })
    for _, case in ipairs(cases) do
      assert.are.equal(case[2], (id_of(snapshot, case[1])), case[1].host)
    end
  end

  local PATHS = {
    { "/", "root" },
    { "/foo", "exact foo" },
    { "/foo/", "prefix foo" },
    { "/foo/x", "prefix foo" },
    { "/foobar", "root" },
    { "/foo/bar", "prefix foo/bar" },
    { "/foo/bar/", "prefix foo/bar" },
    { "/foo/barx", "prefix foo" },
    { "/FOO", "root" },
    { "/slash", "slash" },
    { "/slash/", "slash" },
    { "*", "root" },
  }
  for _, case in ipairs(PATHS) do
    it(("gives %s the route %s"):format(case[1], case[2]), function()
      local snapshot = traffic.snapshot({
        hosts = {
          ["a.test"] = host({
            { "root", "prefix", "/" },
            { "prefix foo", "prefix", "/foo" },
            { "exact foo", "exact", "/foo" },
            { "prefix foo/bar", "prefix", "/foo/bar" },
            { "slash", "prefix", "/slash/" },
          }),
        },
      })
      assert.are.equal(case[2], (id_of(snapshot, { path = case[1] })))
    end)
  end

  it("has no route for a path or host that nothing names", function()
    local routes_of_a = host({ { "a", "prefix", "/a" } })
    local snapshot = traffic.snapshot({ hosts = { ["a.test"] = routes_of_a } })
    assert.is_nil(id_of(snapshot, { path = "/b" }))
    assert.is_nil(id_of(snapshot, { path = "/" }))
    assert.is_nil(id_of(snapshot, { path = "/a", host = "b.test" }))
    assert.is_nil(id_of(snapshot, { path = "", host = "" }))
  end)

  it("has no route in a snapshot without hosts", function()
    assert.is_nil(id_of(traffic.snapshot({}), {}))
  end)

  local ORDER = {
    {
      "asks exact, then regex, then prefix",
      {
        { "prefix", "prefix", "/foo/bar" },
        { "regex", "regex", "/foo/b.*" },
        { "exact", "exact", "/foo/bar" },
      },
      { ["/foo/bar"] = "exact", ["/foo/bar/x"] = "regex", ["/foo/bxx"] = "regex" },
    },
    {
      "asks longer patterns first, then greater text, then the first of the table",
      {
        { "short", "regex", "/a.*" },
        { "lesser", "regex", "/a[a]c" },
        { "greater", "regex", "/a[b]c" },
        { "again", "regex", "/a[b]c" },
      },
      { ["/abc"] = "greater", ["/aac"] = "lesser", ["/axc"] = "short" },
    },
    {
      "anchors a pattern at the start alone",
      { { "regex", "regex", "/b" } },
      { ["/bc"] = "regex" },
    },
    {
      "takes a pattern's case as it is unless told otherwise",
      {
        {
          "any case",
          "regex",
          "/foo",
          { path = { type = "regex", value = "/foo", insensitive = true } },
        },
        { "as it is", "regex", "/bar" },
        { "rest", "prefix", "/" },
      },
      { ["/FOO"] = "any case", ["/BAR"] = "rest" },
    },
    {
      "mixes prefixes by text and by element, longest first",
      {
        { "root", "prefix", "/" },
        { "text fo", "prefix_text", "/fo" },
        { "element foo", "prefix", "/foo" },
        { "text foo/b", "prefix_text", "/foo/b" },
      },
      {
        ["/fo"] = "text fo",
        ["/fox"] = "text fo",
        ["/foo"] = "element foo",
        ["/foo/a"] = "element foo",
        ["/foo/bar"] = "text foo/b",
        ["/x"] = "root",
      },
    },
    {
      "prefers of two prefixes of one length the one by element",
      { { "text", "prefix_text", "/a" }, { "element", "prefix", "/a" } },
      { ["/a"] = "element", ["/a/b"] = "element", ["/ab"] = "text" },
    },
    {
      "asks higher priority first within one path",
      { { "low", "exact", "/a" }, { "high", "exact", "/a", { priority = 1 } } },
      { ["/a"] = "high" },
    },
    {
      "lets no priority go before a longer path",
      { { "high", "prefix", "/", { priority = 9 } }, { "long", "prefix", "/a" } },
      { ["/a"] = "long" },
    },
    {
      "asks routes with more conditions first",
      {
        { "none", "exact", "/a" },
        { "method", "exact", "/a", { methods = { "GET" } } },
        {
          "two",
          "exact",
          "/a",
          { methods = { "POST", "GET" }, query = { { name = "q", type = "present" } } },
        },
      },
      { ["/a"] = "method" },
    },
    {
      "takes the first of equal routes",
      { { "first", "exact", "/a" }, { "second", "exact", "/a" } },
      { ["/a"] = "first" },
    },
    {
      "goes on to a shorter prefix when conditions fail",
      {
        { "root", "prefix", "/" },
        { "a", "prefix", "/a", { methods = { "POST" } } },
        { "a/b", "prefix", "/a/b", { methods = { "POST" } } },
        { "exact", "exact", "/a/b", { methods = { "POST" } } },
        { "regex", "regex", "/a/b.*", { methods = { "POST" } } },
      },
      { ["/a/b"] = "root" },
    },
  }
  for _, case in ipairs(ORDER) do
    it(case[1], function()
      local snapshot = traffic.snapshot({ hosts = { ["a.test"] = host(case[2]) } })
      for path, expected in pairs(case[3]) do
        assert.are.equal(expected, (id_of(snapshot, { path = path })), path)
      end
    end)
  end

  local CONDITIONS = {
    { "a method of the list", { methods = { "GET", "POST" } }, { method = "POST" }, true },
    { "no other method", { methods = { "GET" } }, { method = "GETX" }, false },
    { "methods by case", { methods = { "GET" } }, { method = "get" }, false },
    {
      "a header's value",
      { headers = { { name = "X-V", type = "exact", value = "1" } } },
      { headers = { ["x-v"] = { "1" } } },
      true,
    },
    {
      "one of a header's values",
      { headers = { { name = "x-v", type = "exact", value = "2" } } },
      { headers = { ["x-v"] = { "1", "2" } } },
      true,
    },
    {
      "no other value of a header",
      { headers = { { name = "x-v", type = "exact", value = "1" } } },
      { headers = { ["x-v"] = { "11" } } },
      false,
    },
    {
      "a header that is there, though empty",
      { headers = { { name = "x-v", type = "present" } } },
      { headers = { ["x-v"] = { "" } } },
      true,
    },
    { "no absent header", { headers = { { name = "x-v", type = "present" } } }, {}, false },
    {
      "a header's pattern",
      { headers = { { name = "x-v", type = "regex", value = "^v\\d$" } } },
      { headers = { ["x-v"] = { "v1" } } },
      true,
    },
    {
      "no header that a pattern does not match",
      { headers = { { name = "x-v", type = "regex", value = "^v\\d$" } } },
      { headers = { ["x-v"] = { "v12" } } },
      false,
    },
    {
      "all conditions at once",
      { headers = { { name = "a", type = "present" }, { name = "b", type = "present" } } },
      { headers = { a = { "1" } } },
      false,
    },
    {
      "a parameter's decoded value",
      { query = { { name = "q", type = "exact", value = "a b" } } },
      { query = "x=1&q=a%20b" },
      true,
    },
    {
      "a parameter's first value only",
      { query = { { name = "q", type = "exact", value = "2" } } },
      { query = "q=1&q=2" },
      false,
    },
    {
      "a parameter that is there",
      { query = { { name = "q", type = "present" } } },
      { query = "q" },
      true,
    },
    { "no parameter without a query", { query = { { name = "q", type = "present" } } }, {}, false },
    {
      "a parameter's pattern",
      { query = { { name = "q", type = "regex", value = "^\\d+$" } } },
      { query = "q=12" },
      true,
    },
  }
  for _, case in ipairs(CONDITIONS) do
    it("takes " .. case[1], function()
      local only = host({ { "r", "exact", "/", case[2] } })
      local snapshot = traffic.snapshot({ hosts = { ["a.test"] = only } })
      assert.are.equal(case[4] and "r" or nil, (id_of(snapshot, case[3])))
    end)
  end

  it("prefers an exact host, then the longest wildcard, then any", function()
    check({
      ["x.a.test"] = host({ { "exact", "prefix", "/" } }),
      ["*.a.test"] = host({ { "a", "prefix", "/" } }),
      ["*.b.a.test"] = host({ { "b.a", "prefix", "/" } }),
      ["*"] = host({ { "any", "prefix", "/" } }),
    }, {
      { { host = "x.a.test" }, "exact" },
      { { host = "y.a.test" }, "a" },
      { { host = "y.x.a.test" }, "a" },
      { { host = "y.b.a.test" }, "b.a" },
      { { host = "a.test" }, "any" },
      { { host = "" }, "any" },
      { { host = "127.0.0.1" }, "any" },
    })
  end)

  it("takes a wildcard of one label for one label", function()
    check({
      ["*.a.test"] = host({ { "one", "prefix", "/" } }, { single_label = true }),
      ["*.test"] = host({ { "more", "prefix", "/" } }),
    }, {
      { { host = "x.a.test" }, "one" },
      { { host = "y.x.a.test" }, "more" },
    })
  end)

  it("does not ask the next host unless told to fall through", function()
    check({
      ["x.a.test"] = host({ { "x", "prefix", "/x" } }),
      ["y.a.test"] = host({ { "y", "prefix", "/y" } }, { fall_through = true }),
      ["*.a.test"] = host({ { "a", "prefix", "/a" } }, { fall_through = true }),
      ["*"] = host({ { "any", "prefix", "/" } }),
    }, {
      { { host = "x.a.test", path = "/a" }, nil },
      { { host = "y.a.test", path = "/y" }, "y" },
      { { host = "y.a.test", path = "/a" }, "a" },
      { { host = "y.a.test", path = "/b" }, "any" },
    })
  end)

  local COSTLY = ("a"):rep(40) .. "!"
  local LIMITS = {
    { "path", { "r", "regex", "/(a+)+$" }, { path = "/" .. COSTLY } },
    {
      "header",
      { "r", "prefix", "/", { headers = { { name = "x", type = "regex", value = "(a+)+$" } } } },
      { headers = { x = { COSTLY } } },
    },
    {
      "parameter",
      { "r", "prefix", "/", { query = { { name = "q", type = "regex", value = "(a+)+$" } } } },
      { query = "q=" .. COSTLY },
    },
  }
  for _, case in ipairs(LIMITS) do
    it("names the route when it takes too much effort to match a " .. case[1], function()
      local snapshot = traffic.snapshot({ hosts = { ["a.test"] = host({ case[2] }) } })
      local id, err = id_of(snapshot, case[3])
      assert.are.equal("r", id)
      assert.are.equal("pattern_limit", err)
    end)
  end

  it("finds each of many routes of one host", function()
    local list = {}
    for i = 1, 2000 do
      list[i] = { "r" .. i, i % 2 == 0 and "prefix" or "exact", "/p/" .. i }
    end
    local snapshot = traffic.snapshot({ hosts = { ["a.test"] = host(list) } })
    for i = 1, 2000 do
      assert.are.equal("r" .. i, (id_of(snapshot, { path = "/p/" .. i })))
    end
  end)

  it("finds a prefix of the greatest depth, and one of a deeper path", function()
    local snapshot = traffic.snapshot({
      hosts = { ["a.test"] = host({ { "deep", "prefix", ("/a"):rep(63) } }) },
    })
    assert.are.equal("deep", (id_of(snapshot, { path = ("/a"):rep(63) })))
    assert.are.equal("deep", (id_of(snapshot, { path = ("/a"):rep(200) })))
    assert.is_nil((id_of(snapshot, { path = ("/a"):rep(62) })))
  end)
end)

describe("route.match, when hot,", function()
  local trace = require("spec.support.trace")

  -- Requests of one kind, so that nothing but this way through match is hot.
  local KINDS = {
    { "an exact path", { path = "/exact" } },
    { "a prefix", { path = "/prefix/of/it" } },
    { "a pattern", { path = "/regex/1" } },
    { "the third of four patterns", { path = "/regex/xyz" } },
    { "a wildcard host", { host = "x.b.test", path = "/" } },
    { "a wildcard host of a deep name", { host = "x.y.z.b.test", path = "/" } },
    { "a textual prefix", { path = "/texture" } },
    { "the shortest of three prefixes", { path = "/short/a/b" } },
    { "the second of two routes", { path = "/second" } },
    { "three parameters", { path = "/parameters", query = "c=3&b=2&a=1" } },
    { "a method", { path = "/method", method = "POST" } },
    { "a parameter", { path = "/parameter", query = "a=b&q=1" } },
    { "no route", { host = "c.test" } },
  }
  for _, kind in ipairs(KINDS) do
    it(("is compiled and leaves next to no garbage for %s"):format(kind[1]), function()
      local posts = { "POST" }
      local list = {
        { id = "r1", path = { type = "regex", value = "/regex/[a]aaaaaaa" } },
        { id = "r2", path = { type = "regex", value = "/regex/[b]aaaaaaa" } },
        { id = "r3", path = { type = "regex", value = "/regex/[x]yz" } },
        { id = "t", path = { type = "prefix_text", value = "/text" } },
        { id = "s1", path = { type = "prefix", value = "/short/a/b" }, methods = posts },
        { id = "s2", path = { type = "prefix", value = "/short/a" }, methods = posts },
        { id = "s3", path = { type = "prefix", value = "/short" } },
        { id = "p1", path = { type = "exact", value = "/second" }, methods = posts },
        { id = "p2", path = { type = "exact", value = "/second" } },
        {
          id = "q",
          path = { type = "exact", value = "/parameters" },
          query = {
            { name = "a", type = "exact", value = "1" },
            { name = "b", type = "exact", value = "2" },
            { name = "c", type = "present" },
          },
        },
        { id = "1", path = { type = "exact", value = "/exact" } },
        { id = "2", path = { type = "prefix", value = "/prefix" } },
        { id = "3", path = { type = "regex", value = "/regex/\\d" } },
        { id = "4", path = { type = "exact", value = "/method" }, methods = { "GET", "POST" } },
        {
          id = "5",
          path = { type = "exact", value = "/parameter" },
          query = { { name = "q", type = "exact", value = "1" } },
        },
      }
      local snapshot = traffic.snapshot({
        hosts = {
          ["a.test"] = { routes = list },
          ["*.b.test"] = { routes = { { id = "6", path = { type = "prefix", value = "/" } } } },
        },
      })
      local request = traffic.request(kind[2])
      local expected = kind[1] ~= "no route"
      local wrong = 0
      local result = trace.run(function()
        local found = route.match(snapshot, request, 1)
        if (found ~= nil) ~= expected then
          wrong = wrong + 1
        end
      end, 20000)
      assert.are.equal(0, wrong)
      assert.are.same({}, result.aborts)
      assert.is_true(result.traces > 0)
      assert.is_true(result.bytes < 80, result.bytes .. " bytes a round")
    end)
  end
end)
