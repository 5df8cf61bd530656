-- SPDX-License-Identifier: Apache-2.0
--
-- .ci/layers lets the tree pass, and nothing that points to the right.
local function read(command)
  local pipe = assert(io.popen("LD_PRELOAD= " .. command .. ' 2>&1; echo "exit $?"'))
  local text = pipe:read("*a")
  pipe:close()
  local output, code = text:match("^(.-)exit (%d+)\n$")
  return tonumber(code), output
end

describe("layers", function()
  local root

  -- A tree of these files, with the script where it looks for its tree from.
  local function tree(files)
    root = os.tmpname()
    os.remove(root)
    assert.equal(0, (read(("mkdir -p %s/.ci && cp .ci/layers %s/.ci/"):format(root, root))))
    for path, text in pairs(files) do
      local folder = path:match("^(.*)/")
      assert.equal(0, (read(("mkdir -p %s/%s"):format(root, folder))))
      local file = assert(io.open(root .. "/" .. path, "w"))
      file:write(text)
      file:close()
    end
  end

  local function judge(files)
    tree(files)
    return read(root .. "/.ci/layers")
  end

  after_each(function()
    if root then
      read("rm -r " .. root)
      root = nil
    end
  end)

  it("pass as they are", function()
    local code, output = read(".ci/layers")
    assert.equal("", output)
    assert.equal(0, code)
  end)

  it("pass when all points to the left", function()
    local code, output = judge({
      ["runtime/net/a.c"] = '#include "base/buf.h"\n#include "net/a.h"\n',
      ["runtime/worker.c"] = '#include "control/snapshot.h"\n',
      ["scripts/moongate/hooks/a.lua"] = 'local x = require("moongate.balance.hash")\n',
      ["scripts/moongate/control/store.lua"] = 'local x = require("moongate.control.model")\n',
    })
    assert.equal("", output)
    assert.equal(0, code)
  end)

  -- What is in the file, and what must be said of it.
  local VIOLATIONS = {
    { "runtime/net/a.c", '#include "tls/session.h"\n', "net may not include tls/session.h" },
    { "runtime/base/a.h", "\n  #  include <lua.h>\n", "only runtime/bridge may include lua.h" },
    { "runtime/control/a.c", "#include <lualib.h>\n", "only runtime/bridge may include lualib.h" },
    { "runtime/exchange/a.c", '#include "worker.h"\n', "exchange may not include worker.h" },
    { "runtime/tls/a.c", '#include "../http/head.h"\n', "by its path below runtime/" },
    { "runtime/cache/a.c", "\n", "has no place in the order of layers" },
    { "scripts/moongate/api/a.lua", 'require("moongate.hooks")\n',
      "api may not require moongate.hooks" },
    { "scripts/moongate/route/a.lua", "require 'moongate.balance.hash'\n",
      "route may not require moongate.balance.hash" },
    { "scripts/moongate/snapshot.lua", 'local a = require "moongate.route"\n',
      "snapshot may not require moongate.route" },
    { "scripts/moongate/control/store.lua", 'require("moongate.control.translate")\n',
      "control/store may not require moongate.control.translate" },
  }
  for _, case in ipairs(VIOLATIONS) do
    it("do not let " .. case[3] .. " pass", function()
      local code, output = judge({ [case[1]] = case[2] })
      assert.truthy(output:find(case[1] .. ":", 1, true), output)
      assert.truthy(output:find(case[3], 1, true), output)
      assert.equal(1, code)
    end)
  end
end)
