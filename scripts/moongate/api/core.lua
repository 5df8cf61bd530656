-- SPDX-License-Identifier: Apache-2.0
--
-- The C functions of bridge/api.h. Specs put the text of the header there instead of the binary.
local ffi = require("ffi")

local host = require("moongate.host")

ffi.cdef(host.text("api.cdef"))

return host.library or ffi.C
