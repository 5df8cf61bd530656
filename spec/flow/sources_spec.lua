-- SPDX-License-Identifier: Apache-2.0
--
-- Folders of manifests are replaced, led elsewhere, taken away and brought back. What is served
-- follows; what cannot be read for a while is served on.
local lfs = require("lfs")
local manifests = require("spec.support.manifests")
local mg = require("moongate")
local process = require("moongate.test.process")
local t = require("moongate.test")

describe("sources", function()
  local gateway, base, client

  local function shell(command, ...)
    command = command:format(...)
    assert.are.equal(0, os.execute(("cd %s && %s"):format(base, command)), command)
  end

  before_each(function()
    base = ("%s/moongate-sources-%d-%d"):format(os.getenv("TMPDIR") or "/tmp",
      math.random(999999999), mg.time.now() * 1e6 % 1e9)
    assert(lfs.mkdir(base))
    gateway = t.gateway({ workers = 1 })
    gateway:upstream("web", { body = "web" })
  end)

  after_each(function()
    if gateway.process then
      gateway:stop()
    end
    shell("rm -r %s", base)
  end)

  -- A file with one path of one host: /NAME.
  local function put(file, name)
    local handle = assert(io.open(base .. "/" .. file, "w"))
    handle:write(manifests.ingress("i-" .. name, { host = "a.test", service = "web",
      paths = { "/" .. name } }))
    handle:close()
  end

  -- A folder with what every Ingress needs and one Ingress.
  local function make(folder, name)
    shell("mkdir -p %s", folder)
    local handle = assert(io.open(("%s/%s/0.yaml"):format(base, folder), "w"))
    handle:write(manifests.join(manifests.CLASS,
      manifests.service("web", { gateway:upstream("web").port })))
    handle:close()
    put(folder .. "/web.yaml", name)
  end

  local function start(folder, options)
    gateway.options.manifests = base .. "/" .. folder
    for key, value in pairs(options or {}) do
      gateway.options[key] = value
    end
    gateway:start()
    client = gateway:client()
  end

  local function status_of(name)
    return client:get("/" .. name, { host = "a.test" }).status
  end

  local function await(name, status)
    t.wait_until(function()
      return status_of(name) == (status or 200)
    end, ("%d for /%s"):format(status or 200, name))
  end

  local function snapshot()
    return mg.json.decode(gateway:admin():get("/snapshot").body)
  end

  local function await_faults(count)
    t.wait_until(function()
      return #snapshot().faults == count
    end, count .. " faults")
    return snapshot().faults
  end

  it("of a link are followed to where it is led, again and again", function()
    make("r1", "one")
    make("r2", "two")
    shell("ln -s r1 cur")
    start("cur")
    assert.are.equal(200, status_of("one"))
    shell("ln -s r2 cur.new && mv -T cur.new cur")
    await("two")
    assert.are.equal(404, status_of("one"))
    put("r2/web.yaml", "edited")
    await("edited")
    shell("ln -s r1 cur.new && mv -T cur.new cur")
    await("one")
    put("r1/web.yaml", "again")
    await("again")
  end)

  it("behind a link in the middle of the path are followed", function()
    make("r1/m", "one")
    make("r2/m", "two")
    shell("ln -s r1 cur")
    start("cur/m")
    shell("ln -s r2 cur.new && mv -T cur.new cur")
    await("two")
  end)

  it("in a folder that is replaced are those of the new one, and its changes are seen", function()
    make("m", "one")
    make("new", "two")
    start("m")
    shell("mv m old && mv new m")
    await("two")
    put("m/web.yaml", "edited")
    await("edited")
  end)

  it("that are away for a while are served on, and read when they are back", function()
    make("m", "one")
    start("m")
    shell("mv m away")
    local fault = await_faults(1)[1]
    assert.are.equal(base .. "/m", fault.file)
    assert.truthy(fault.message:find("no such file or folder; check path and mode", 1, true))
    assert.are.equal(200, status_of("one"))
    shell("mv away m")
    await_faults(0)
    put("m/web.yaml", "edited")
    await("edited")
  end)

  it("that are a file are watched as well", function()
    make("m", "one")
    shell("cat m/*.yaml | sed 's/^apiVersion/---\\n&/' > all && mv all all.yaml")
    start("all.yaml")
    shell("sed s:/one:/two: all.yaml > new && mv new all.yaml")
    await("two")
    shell("sed -i s:/two:/three: all.yaml")
    await("three")
    shell("sed s:/three:/four: all.yaml >new && cat new >all.yaml") -- written in its place
    await("four")
  end)

  it("behind a link to a file come back with that file", function()
    make("m", "one")
    put("x.yaml", "two")
    shell("ln -s ../x.yaml m/x.yaml")
    start("m")
    shell("mv x.yaml away")
    await_faults(1)
    assert.are.equal(200, status_of("two"))
    put("away", "edited")
    shell("mv away x.yaml")
    await("edited")
    await_faults(0)
    put("x.yaml", "again") -- written in its place
    await("again")
    shell("rm m/x.yaml")
    await("again", 404)
    await_faults(0)
  end)

  it("of a mounted ConfigMap change when its link ..data is swapped", function()
    make("m/..one", "one")
    make("m/..two", "two")
    shell("ln -s ..one m/..data")
    shell("ln -s ..data/0.yaml m/0.yaml && ln -s ..data/web.yaml m/web.yaml")
    start("m")
    assert.are.equal(200, status_of("one"))
    shell("ln -s ..two m/..tmp && mv -T m/..tmp m/..data && rm -r m/..one")
    await("two")
    make("m/..three", "three")
    shell("ln -s ..three m/..tmp && mv -T m/..tmp m/..data && rm -r m/..two")
    await("three")
    await_faults(0)
  end)

  it("in folders below that are removed are gone, and those made anew are seen", function()
    make("m", "one")
    shell("mkdir m/sub")
    put("m/sub/a.yaml", "two")
    start("m")
    for _ = 1, 5 do
      shell("rm -r m/sub")
      await("two", 404)
      shell("mkdir m/sub")
      put("m/sub/a.yaml", "two")
      await("two")
    end
  end)

  for _, name in ipairs({ "app.log", "b.yml" }) do
    it("are read while another file of the folder is written all the time: " .. name, function()
      make("m", "one")
      start("m")
      local writer = process.start({ "sh", "-c",
        ("cd %s/m; while [ -e ../m ]; do echo '#' >>%s; sleep 0.004; done"):format(base, name) },
        function() end)
      local ok, err = pcall(function()
        t.wait_until(function()
          return lfs.attributes(base .. "/m/" .. name)
        end, "the writer")
        for i = 1, 3 do
          put("m/web.yaml", "n" .. i)
          await("n" .. i)
        end
      end)
      writer:kill(15)
      writer:wait()
      assert.is_true(ok, err)
    end)
  end

  it("that nothing can watch are looked at from time to time, which is said", function()
    local wrapper = base .. "/wrapper"
    shell([[printf '%%s\n' '#!/bin/sh' 'exec unshare -Ur sh -c "]]
      .. [[echo 0 >/proc/sys/user/max_inotify_instances || exit 9; exec \"\$0\" \"\$@\"" %s "$@"' ]]
      .. [[>wrapper && chmod +x wrapper]], process.executable())
    if os.execute(wrapper .. " version >/dev/null 2>&1") ~= 0 then
      pending("inotify is used up in a user namespace: none can be made here")
    end
    make("m", "one")
    local executable = process.executable
    process.executable = function()
      return wrapper
    end
    local ok, err = pcall(start, "m")
    process.executable = executable
    assert(ok, err)
    local said = gateway:wait_log("watch_failed")
    assert.truthy(said.hint:find("fs.inotify.max_user_instances", 1, true))
    assert.truthy(said.path and said.error)
    assert.are.equal("unwatched", snapshot().faults[1].code)
    put("m/web.yaml", "two")
    await("two")
    assert.are.equal(1, #gateway:logs("watch_failed"))
  end)
end)
