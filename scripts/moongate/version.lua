-- SPDX-License-Identifier: Apache-2.0
-- The version of the gateway.
return "0.1.0"
