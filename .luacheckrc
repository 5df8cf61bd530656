-- SPDX-License-Identifier: Apache-2.0
std = "luajit"
max_line_length = 100
max_cyclomatic_complexity = 12
files["spec"] = { std = "+busted" }
exclude_files = { "build" }
