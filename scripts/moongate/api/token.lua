-- SPDX-License-Identifier: Apache-2.0
-- Pattern of names of fields, cookies and methods (RFC 9110 5.6.2).
return "^[%w!#$%%&'*+.^_`|~-]+$"
