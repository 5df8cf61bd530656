/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hook.h"

#include <lauxlib.h>

#include "base/err.h"
#include "bridge/task.h"

enum exchange_verdict hook_run(void *data, struct exchange *exchange, enum mg_stage stage)
{
  struct mg_vm *vm = data;
  struct task *task = task_take(vm);
  if (!task) {
    exchange->record.endpoint = -1;
    exchange->record.error = ERR_NO_MEMORY;
    return stage <= MG_STAGE_RETRY ? VERDICT_GO_ON : VERDICT_FAIL;
  }
  task->exchange = exchange;
  task->stage = (uint8_t)stage;
  lua_rawgeti(task->lua, LUA_REGISTRYINDEX, vm->dispatch_ref);
  lua_pushinteger(task->lua, (lua_Integer)stage);
  lua_pushinteger(task->lua, (lua_Integer)exchange->record.slot);
  task_run(task, 2);
  return task->state == TASK_IDLE ? (enum exchange_verdict)task->verdict : VERDICT_WAIT;
}
