-- SPDX-License-Identifier: Apache-2.0
local M = {}

M.summary = "lists the commands, or the options of one"

local WIDTH = 34

-- By characters: hints have some of more than a byte.
local function padded(text)
  local _, more = text:gsub("[\128-\191]", "")
  return text .. (" "):rep(WIDTH - #text + more)
end

local function options_of(command)
  local names = {}
  for name in pairs(command.options or {}) do
    names[#names + 1] = name
  end
  table.sort(names)
  local lines = {}
  for _, name in ipairs(names) do
    local option = command.options[name]
    local left = "--" .. name .. (option.kind == "flag" and "" or " " .. option.hint)
    local repeats = option.kind == "list" and " (repeats)" or ""
    lines[#lines + 1] = ("  %s %s%s"):format(padded(left), option.doc, repeats)
  end
  return table.concat(lines, "\n")
end

function M.run(io, name)
  local commands = require("moongate.command").COMMANDS
  if name then
    for _, known in ipairs(commands) do
      if known == name then
        local command = require("moongate.command." .. name)
        io.write(("usage: moongate %s %s\n%s\n\n%s\n"):format(
          name, command.usage or "", command.summary, options_of(command)))
        return 0
      end
    end
    return 2, ("no command %q"):format(name)
  end
  local lines = { "usage: moongate COMMAND [OPTION]…\n" }
  for _, known in ipairs(commands) do
    local ok, command = pcall(require, "moongate.command." .. known)
    if ok then
      lines[#lines + 1] = ("  %-9s %s"):format(known, command.summary)
    end
  end
  lines[#lines + 1] = "\n`moongate help COMMAND` lists its options."
  io.write(table.concat(lines, "\n") .. "\n")
  return 0
end

return M
