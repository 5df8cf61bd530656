-- SPDX-License-Identifier: Apache-2.0
--
-- Texts that have to be UTF-8 (RFC 3629), of bytes that may be anything.
local M = {}

--- U+FFFD, for what is none.
M.REPLACEMENT = "\239\191\189"

local MORE = "[\128-\191]"
-- Characters of more than a byte, form by form (RFC 3629 4).
local FORMS = {
  "^[\194-\223]" .. MORE,
  "^\224[\160-\191]" .. MORE,
  "^[\225-\236\238\239]" .. MORE .. MORE,
  "^\237[\128-\159]" .. MORE,
  "^\240[\144-\191]" .. MORE .. MORE,
  "^[\241-\243]" .. MORE .. MORE .. MORE,
  "^\244[\128-\143]" .. MORE .. MORE,
}

-- The character of more than a byte that begins there; nil where there is none.
local function character_at(text, at)
  for _, form in ipairs(FORMS) do
    local found = text:match(form, at)
    if found then
      return found
    end
  end
end

-- What begins there, of at most so many bytes, and how many it stands for.
local function piece_at(text, at, room, mark)
  local plain = text:match("^[%z\1-\127]+", at)
  if plain then
    return plain:sub(1, room), #plain
  end
  local character = character_at(text, at)
  return character or mark, character and #character or 1
end

--- The text with a mark for each byte that is none of a character, cut between characters.
---@param text string
---@param mark string
---@param most integer?  bytes, of what is returned
---@return string
function M.clean(text, mark, most)
  local out, room, at = {}, most or #text * #mark, 1
  while at <= #text and room > 0 do
    local piece, length = piece_at(text, at, room, mark)
    if #piece > room then
      break
    end
    out[#out + 1] = piece
    room, at = room - #piece, at + length
  end
  return table.concat(out)
end

return M
