/* SPDX-License-Identifier: Apache-2.0 */
/* What the control thread reads of the workers and the process for the page /metrics. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "worker.h"

enum process_stat {
  PROCESS_CPU,
  PROCESS_RESIDENT,
  PROCESS_FILES,
  PROCESS_START,
  PROCESS_FILES_MAX,
  PROCESS_VIRTUAL,
  PROCESS_READ,
  PROCESS_WRITTEN
};

static struct gateway *gateway_of(struct mg_vm *vm)
{
  return ((struct worker *)vm->owner)->gateway;
}

double mg_worker_stat(struct mg_vm *vm, uint32_t index, uint32_t position)
{
  struct gateway *gateway = gateway_of(vm);
  struct stat_info info;
  if (index >= gateway->started || !stat_describe(position, &info))
    return 0;
  return stat_read(&gateway->workers[index]->exchanges.stats.counts, position);
}

double mg_script_errors(struct mg_vm *vm)
{
  struct gateway *gateway = gateway_of(vm);
  uint64_t sum = stat_load(&gateway->control.vm.script_errors);
  for (unsigned i = 0; i < gateway->started; i++)
    sum += stat_load(&gateway->workers[i]->vm.script_errors);
  return (double)sum;
}

static double cpu_seconds(void)
{
  struct rusage usage;
  if (getrusage(RUSAGE_SELF, &usage) < 0)
    return 0;
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double open_files(void)
{
  DIR *folder = opendir("/proc/self/fd");
  if (!folder)
    return 0;
  double count = -1; /* the folder itself */
  for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
    count += entry->d_name[0] != '.';
  closedir(folder);
  return count;
}

static double files_max(void)
{
  struct rlimit limit;
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double)limit.rlim_cur : 0;
}

/* Field 22 of proc(5), in ticks after boot; the name in field 2 may hold blanks and brackets. */
static double start_seconds(void)
{
  char text[1024];
  FILE *file = fopen("/proc/self/stat", "re");
  if (!file)
    return 0;
  size_t len = fread(text, 1, sizeof(text) - 1, file);
  (void)fclose(file); /* it was only read */
  text[len] = 0;
  unsigned long long ticks = 0;
  const char *after = strrchr(text, ')');
  if (!after || sscanf(after + 1, " %*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%llu",
                       &ticks) != 1)
    return 0;
  struct timespec boot;
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &boot);
  clock_gettime(CLOCK_REALTIME, &now);
  double booted = (double)(now.tv_sec - boot.tv_sec) + (double)(now.tv_nsec - boot.tv_nsec) / 1e9;
  return booted + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

/* The number behind a name at the start of a line of a file in /proc/self; 0 when it is not there. */
static double line_of(const char *path, const char *name)
{
  char text[128];
  double value = 0;
  FILE *file = fopen(path, "re");
  if (!file)
    return 0;
  while (fgets(text, sizeof(text), file)) {
    if (strncmp(text, name, strlen(name)) == 0)
      value = strtod(text + strlen(name), NULL);
  }
  (void)fclose(file); /* as above */
  return value;
}

double mg_process_stat(int32_t which)
{
  size_t resident = 0;
  switch (which) {
  case PROCESS_CPU:
    return cpu_seconds();
  case PROCESS_RESIDENT:
    return uv_resident_set_memory(&resident) == 0 ? (double)resident : 0;
  case PROCESS_FILES:
    return open_files();
  case PROCESS_START:
    return start_seconds();
  case PROCESS_FILES_MAX:
    return files_max();
  case PROCESS_VIRTUAL:
    return line_of("/proc/self/status", "VmSize:") * 1024;
  case PROCESS_READ:
    return line_of("/proc/self/io", "read_bytes:");
  case PROCESS_WRITTEN:
    return line_of("/proc/self/io", "write_bytes:");
  default:
    return 0;
  }
}
