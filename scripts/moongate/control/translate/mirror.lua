-- SPDX-License-Identifier: Apache-2.0
-- Copies of an Ingress's requests, as configuration of the plugin mirror.
local services = require("moongate.control.translate.services")

local M = {}

---@param context table
---@param ingress moongate.Ingress
---@return table?
function M.of(context, ingress)
  local values = ingress.notes.values
  local target = values["mirror-target"]
  if not target then
    return nil
  end
  return {
    url = target.parts,
    service = services.use_url(context, target.text),
    host = values["mirror-host"],
    body = values["mirror-request-body"],
  }
end

return M
