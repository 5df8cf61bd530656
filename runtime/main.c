/* SPDX-License-Identifier: Apache-2.0 */
/* The program. What it does with its arguments is decided in scripts/moongate/boot.lua. */
#include "worker.h"

int main(int argc, char **argv)
{
  return gateway_run(argc - 1, argv + 1);
}
