-- SPDX-License-Identifier: Apache-2.0
--
-- Writes the C file that holds the Lua sources of the gateway (see embed.h).
--
-- usage: luajit embed.lua OUT [NAME=]FILE...
--
-- An entry is named NAME, or else FILE. Of a file named "api.cdef" only the text between its two
-- markers is kept, with the headers that it includes there.

local CDEF_BEGIN = "/* cdef-begin */"
local CDEF_END = "/* cdef-end */"

local function fail(...)
  io.stderr:write("embed: ", string.format(...), "\n")
  os.exit(1)
end

local function read(path)
  local file, err = io.open(path, "rb")
  if not file then
    fail("%s", err)
  end
  local text = file:read("*a")
  file:close()
  return text
end

-- Includes between the markers stand for the marked text of that header, below runtime/.
local function marked(path)
  local text = read(path)
  local _, first = text:find(CDEF_BEGIN, 1, true)
  local last = first and text:find(CDEF_END, first, true)
  if not last then
    fail("%s: no text between %s and %s", path, CDEF_BEGIN, CDEF_END)
  end
  return (text:sub(first + 1, last - 1):gsub('#include "([^"]+)"\n', function(name)
    return marked("runtime/" .. name)
  end))
end

-- Three octal digits always, so that a digit that follows cannot become part of the escape.
local function escape(text)
  return (text:gsub('[%c"\\?\128-\255]', function(char)
    return char == "\n" and "\\n" or string.format("\\%03o", char:byte())
  end))
end

local function literal(text)
  local lines = {}
  for at = 1, #text, 512 do
    lines[#lines + 1] = '    "' .. escape(text:sub(at, at + 511)) .. '"'
  end
  return #lines > 0 and table.concat(lines, "\n") or '    ""'
end

local entries = {}
for i = 2, #arg do
  local name, path = arg[i]:match("^([^=]+)=(.+)$")
  path = path or arg[i]
  name = name or path
  local text = name == "api.cdef" and marked(path) or read(path)
  entries[#entries + 1] = { name = name, text = text }
end
table.sort(entries, function(a, b)
  return a.name < b.name
end)

local out = { '#include "bridge/embed.h"\n\nconst struct embedded mg_embedded[] = {\n' }
for _, entry in ipairs(entries) do
  out[#out + 1] = string.format(
    '  {"%s", (const unsigned char *)\n%s, %du},\n',
    escape(entry.name),
    literal(entry.text),
    #entry.text
  )
end
out[#out + 1] = string.format(
  "  {0, 0, 0}};\n\nconst unsigned int mg_embedded_count = %du;\n",
  #entries
)

local file, err = io.open(arg[1], "wb")
if not file then
  fail("%s", err)
end
assert(file:write(table.concat(out)))
assert(file:close())
