-- SPDX-License-Identifier: Apache-2.0
local core = require("spec.support.core")
local ffi = require("ffi")
local lfs = require("lfs")

core.api()
package.loaded["moongate.api.core"] = core.C

local folder = require("moongate.control.source.folder")

ffi.cdef([[
int seteuid(unsigned int user);
unsigned int geteuid(void);
]])

local NOBODY = 65534

describe("folder", function()
  local base, known

  local function shell(command, ...)
    assert.equal(0, os.execute("cd " .. base .. " && " .. command:format(...)))
  end

  local function write(name, text)
    local file = assert(io.open(base .. "/" .. name, "wb"))
    file:write(text or name)
    file:close()
  end

  before_each(function()
    base, known = os.tmpname(), {}
    os.remove(base)
    assert(lfs.mkdir(base))
    shell("mkdir -p m/sub && chmod 755 . m m/sub")
    write("m/a.yaml")
    write("m/sub/b.yaml")
    write("m/sub/c.txt")
  end)

  after_each(function()
    shell("chmod -R u+rwx . && rm -r %s", base)
  end)

  -- "path=text" or "path!error" of each file, without the base, and whether there was a change.
  local function scan(paths, anew)
    for i, path in ipairs(paths) do
      paths[i] = base .. "/" .. path
    end
    local files, now, changed =
      folder.scan(paths, folder.is_manifest, { known = known, anew = anew })
    known = now
    local seen = {}
    for i, file in ipairs(files) do
      seen[i] = file.path:sub(#base + 2) .. (file.text and "=" .. file.text or "!" .. file.err)
    end
    return seen, changed
  end

  -- As a user whom modes hold back; root they do not.
  local function as_nobody(fn, ...)
    if ffi.C.geteuid() ~= 0 then
      return fn(...)
    end
    assert.equal(0, ffi.C.seteuid(NOBODY))
    local results = { pcall(fn, ...) }
    assert.equal(0, ffi.C.seteuid(0))
    assert(results[1], results[2])
    return unpack(results, 2)
  end

  local WHOLE = { "m/a.yaml=m/a.yaml", "m/sub/b.yaml=m/sub/b.yaml" }

  it("gives files that are wanted, and tells whether something changed", function()
    assert.same({ WHOLE, true }, { scan({ "m" }) })
    assert.same({ WHOLE, false }, { scan({ "m" }) })
  end)

  for mode, what in pairs({ ["000"] = "cannot be listed", ["644"] = "shows names alone" }) do
    it("names a folder that " .. what, function()
      shell("chmod %s m/sub", mode)
      local seen = as_nobody(scan, { "m" })
      assert.same({ WHOLE[1], "m/sub!permission denied" }, seen)
      shell("chmod 755 m/sub")
      assert.same({ WHOLE, true }, { as_nobody(scan, { "m" }) })
    end)
  end

  it("reads a file that could not be read when it can be, though nothing else has changed",
    function()
      shell("touch -d '2 hours ago' m/a.yaml && chmod 000 m/a.yaml")
      assert.equal("m/a.yaml!permission denied", as_nobody(scan, { "m" })[1])
      shell("chmod 644 m/a.yaml")
      assert.same({ WHOLE, true }, { as_nobody(scan, { "m" }) })
    end)

  it("notices a text of the same size whose time was set back", function()
    shell("touch -d '2 hours ago' m/a.yaml && sleep 0.06")
    scan({ "m" })
    write("m/a.yaml", "m/b.yaml")
    shell("touch -d '2 hours ago' m/a.yaml && sleep 0.06")
    assert.same({ { "m/a.yaml=m/b.yaml", WHOLE[2] }, true }, { scan({ "m" }) })
  end)

  it("notices two changes within one tick of the clock", function()
    for i = 1, 50 do
      write("m/a.yaml", ("%03d"):format(i))
      assert.equal(("m/a.yaml=%03d"):format(i), scan({ "m" })[1])
    end
  end)

  it("reads everything again when it is asked to", function()
    scan({ "m" })
    for _, file in pairs(known) do
      file.stamp, file.text = file.stamp or "same", "old"
    end
    assert.same({ WHOLE, true }, { scan({ "m" }, true) })
  end)

  it("says that a given path has gone, and not that what was below has", function()
    scan({ "m" })
    shell("mv m m.x")
    assert.same({ { "m!no such file or folder" }, true }, { scan({ "m" }) })
    shell("mv m.x m")
    assert.same({ WHOLE, true }, { scan({ "m" }) })
  end)

  it("takes what is gone from a folder as gone", function()
    scan({ "m" })
    shell("rm -r m/sub")
    assert.same({ { WHOLE[1] }, true }, { scan({ "m" }) })
  end)

  it("names links whose end is gone: those of files, and of a folder that was there", function()
    shell("ln -s ../f.yaml m/l.yaml && ln -s ../d m/d && ln -s ../none m/other")
    assert.same({ WHOLE[1], "m/l.yaml!the link leads to nothing", WHOLE[2] }, (scan({ "m" })))
    shell("mkdir d && touch d/x.yaml f.yaml")
    assert.same({ WHOLE[1], "m/d/x.yaml=", "m/l.yaml=", WHOLE[2] }, (scan({ "m" })))
    shell("rm -r d f.yaml")
    local gone = { WHOLE[1], "m/d!the link leads to nothing", "m/l.yaml!the link leads to nothing",
      WHOLE[2] }
    assert.same(gone, (scan({ "m" })))
    assert.same({ gone, false }, { scan({ "m" }) })
    shell("rm m/d m/l.yaml")
    assert.same({ WHOLE, true }, { scan({ "m" }) })
  end)

  it("sees what is put into a folder when that has just begun to be watched", function()
    local watched = {}
    local watch = {
      follow = function() end,
      folder = function(_, path)
        watched[#watched + 1] = path:sub(#base + 2)
        write(watched[#watched] .. "/new.yaml")
      end,
    }
    local files = folder.scan({ base .. "/m" }, folder.is_manifest, { watch = watch })
    assert.same({ 4, { "m", "m/sub" } }, { #files, watched })
  end)

  it("reads what a link leads to after the way there has begun to be watched", function()
    shell("ln -s ../x.yaml m/x.yaml && touch later")
    local watch = {
      file = function() end,
      folder = function() end,
      follow = function(_, at, name)
        if name == "x.yaml" then
          assert.equal(base .. "/m", at)
          shell("mv later x.yaml")
        end
      end,
    }
    local files = folder.scan({ base .. "/m" }, folder.is_manifest, { watch = watch })
    assert.same({ 3, "" }, { #files, files[3].text })
  end)

  it("does not go round where links lead to a folder above", function()
    shell("ln -s . m/l1 && ln -s ../m m/sub/l2 && ln -s .. m/l3")
    assert.same({ WHOLE[1], WHOLE[2] }, (scan({ "m" })))
  end)

  it("reads a folder that two links lead to for each of them", function()
    shell("mkdir d && touch d/x.yaml && ln -s ../d m/d1 && ln -s ../d m/d2")
    assert.same({ WHOLE[1], "m/d1/x.yaml=", "m/d2/x.yaml=", WHOLE[2] }, (scan({ "m" })))
  end)

  it("says what lies too deep", function()
    shell("mkdir -p m/%s", ("d/"):rep(17))
    local seen = scan({ "m" })
    assert.equal("m" .. ("/d"):rep(17) .. "!lies more than 16 folders deep", seen[2])
  end)

  for _, again in ipairs({ "m", "m/", "m/sub", "m/a.yaml", "l", "hard.yaml" }) do
    it("gives a file once, though it is named again as " .. again, function()
      shell("ln -s m l && ln m/a.yaml hard.yaml")
      assert.same(WHOLE, (scan({ "m", again })))
    end)
  end

  it("says that a given path is neither file nor folder", function()
    shell("mkfifo pipe")
    assert.same({ "pipe!is neither file nor folder" }, (scan({ "pipe" })))
  end)
end)
