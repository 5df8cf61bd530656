-- SPDX-License-Identifier: Apache-2.0
--
-- This thread's state as C knows it: the first argument of most functions of bridge/api.h.
local ffi = require("ffi")

local host = require("moongate.host")
require("moongate.api.core")

return ffi.cast("struct mg_vm *", host.vm)
