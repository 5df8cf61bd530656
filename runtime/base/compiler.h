/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes that the rest of the runtime uses by name. */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

/* Exported from the binary: what Lua may call through FFI. */
#define MG_API __attribute__((visibility("default")))
/* An int result that must not be dropped. */
#define MG_MUST_USE __attribute__((warn_unused_result))

#endif
