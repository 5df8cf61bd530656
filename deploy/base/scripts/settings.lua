-- SPDX-License-Identifier: Apache-2.0
--
-- Stands for the scripts of an overlay.
local mg = require("moongate")

mg.settings({ shutdown_grace_period = "10s" })
