-- SPDX-License-Identifier: Apache-2.0
--
-- Checks of which one is enough (`satisfy: any` of nginx), each a plugin whose configuration says
-- in `alternative` whether others follow. A check that fails leaves the answer to the last one.
local M = {}

--- For the schema of such a plugin.
function M.field(schema)
  return schema.enum("more", "last")
    :description("one of several checks of which one is enough: more follow, or it is the last")
end

--- Whether another check has let the request pass already.
---@param ctx moongate.Ctx
---@param conf { alternative: "more"|"last"|nil }
---@return boolean
function M.is_passed(ctx, conf)
  return conf.alternative ~= nil and ctx.shared.is_passed == true
end

--- The check lets the request pass.
function M.pass(ctx, conf)
  if conf.alternative then
    ctx.shared.is_passed = true
  end
end

--- The check refuses the request, unless others follow; arguments as of ctx:respond.
function M.refuse(ctx, conf, ...)
  if conf.alternative ~= "more" then
    return ctx:respond(...)
  end
end

return M
