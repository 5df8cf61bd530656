-- SPDX-License-Identifier: Apache-2.0
--
-- `moongate run`: serves manifests and scripts, and their changes.
local flags = require("moongate.command.flags")
local serve = require("moongate.command.serve")

local M = {}

M.summary = "serves manifests and scripts"
M.usage = "[--manifests DIR]… [--scripts DIR]… [OPTION]…"

local own = {
  manifests = { kind = "list", hint = "DIR", doc = "Kubernetes objects, YAML or JSON, watched" },
  scripts = { kind = "list", hint = "DIR", doc = "Lua scripts and plugins, watched" },
}
-- Known, so that whoever gives one hears what to do instead.
local NOT_YET = { "kubeconfig", "in-cluster" }
own.kubeconfig = { kind = "value", hint = "FILE", doc = "not there yet; use --manifests" }
own["in-cluster"] = { kind = "flag", hint = "", doc = "not there yet; use --manifests" }
for name, option in pairs(flags.options) do
  own[name] = option
end
M.options = serve.options(own)

function M.run(_, ...)
  local values, err = serve.parse(M.options, ...)
  err = err or flags.apply(values)
  if err then
    return 2, err
  end
  for _, name in ipairs(NOT_YET) do
    if values[name] then
      local why = "this version reads objects from folders only; use --manifests DIR"
      return 2, ("--%s: %s"):format(name, why)
    end
  end
  values.default_https = true
  return serve.run(values, {
    manifests = values.manifests or {},
    scripts = values.scripts or {},
    flags = flags.read(values),
  })
end

return M
