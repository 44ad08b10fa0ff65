/* A stand-in for libnvidia-ml.so.1, driven by a scenario file (environment variable FAKE_NVML_SCENARIO).
 *
 * It is built by the tests and loaded by the real pynvml through LD_LIBRARY_PATH. Each line of the scenario is
 *
 *     driver 580.65.06            version of the driver
 *     cuda 13000                  1000 * major + 10 * minor
 *     init 18                     nvmlInit returns this code (18: driver/library version mismatch)
 *     hang nvmlDeviceGetName 1    this function never returns for card 1 (-1: for functions without a card)
 *     fail nvmlDeviceGetName 0 3  this function returns code 3 for card 0 (-1: for every card)
 *     crash nvmlDeviceGetName 0   this function kills the process
 *     lose nvmlDeviceGetName 0    from this call on everything about card 0 returns 15 (GPU is lost)
 *     value nvmlDeviceGetMaxPcieLinkWidth 0 4294967295    this function answers so (all bits set: not available)
 *     grow 269 0 300000000        field 269 of card 0 grows by so much per second (nvmlDeviceGetFieldValues)
 *     gpu                         begins a card; the lines below belong to it
 *     name NVIDIA GeForce RTX 3090
 *     uuid GPU-...
 *     capability 8 6
 *     memory 25769803776 1073741824     total, used
 *     process 4711 2147483648           pid, bytes
 *     mig 1
 *     slice MIG 1g.10gb 10737418240     a MIG device: name (to the last blank), memory; it holds nothing
 *
 * Functions named in "-DWITHOUT_..." macros are left out of the library, as an old driver leaves them out.
 * Return codes and signatures: nvml.h, as published in NVIDIA/go-nvml gen/nvml/nvml.h.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SUCCESS 0
#define INVALID_ARGUMENT 2
#define INSUFFICIENT_SIZE 7
#define NOT_SUPPORTED 3
#define NOT_FOUND 6
#define GPU_IS_LOST 15
#define CARDS 16
#define RULES 64

struct process { unsigned pid; unsigned long long bytes; };
struct slice { char name[96]; unsigned long long total; };
struct card {
    char name[96], uuid[96];
    int major, minor, mig, processes;
    unsigned long long total, used;
    struct process process[8];
    struct slice slice[8];
    int slices, lost;
};
struct rule { char kind; char function[96]; int card; long long code; };

static struct card card[CARDS];
static struct rule rule[RULES];
static int cards, rules, init_code, cuda = 13000, loaded;
static char driver[80] = "580.65.06";

static void load(void)
{
    const char *path = getenv("FAKE_NVML_SCENARIO");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[256];
    if (loaded++ || !file)
        return;
    while (fgets(line, sizeof line, file)) {
        struct card *c = &card[cards ? cards - 1 : 0];
        struct rule *r = &rule[rules];
        line[strcspn(line, "\n")] = 0;
        if (!strcmp(line, "gpu") && cards < CARDS) {
            cards++;
        } else if (!strncmp(line, "name ", 5)) {
            snprintf(c->name, sizeof c->name, "%s", line + 5);
        } else if (sscanf(line, "uuid %95s", c->uuid) == 1 || sscanf(line, "driver %79s", driver) == 1 ||
                   sscanf(line, "cuda %d", &cuda) == 1 || sscanf(line, "init %d", &init_code) == 1 ||
                   sscanf(line, "capability %d %d", &c->major, &c->minor) == 2 ||
                   sscanf(line, "memory %llu %llu", &c->total, &c->used) == 2 || sscanf(line, "mig %d", &c->mig) == 1) {
            continue;
        } else if (c->processes < 8 && sscanf(line, "process %u %llu", &c->process[c->processes].pid,
                                              &c->process[c->processes].bytes) == 2) {
            c->processes++;
        } else if (!strncmp(line, "slice ", 6) && c->slices < 8 && strrchr(line, ' ') > line + 6) {
            struct slice *s = &c->slice[c->slices++];
            snprintf(s->name, sizeof s->name, "%.*s", (int)(strrchr(line, ' ') - line - 6), line + 6);
            s->total = strtoull(strrchr(line, ' '), NULL, 10);
        } else if (rules < RULES && (sscanf(line, "hang %95s %d", r->function, &r->card) == 2 ||
                                     sscanf(line, "crash %95s %d", r->function, &r->card) == 2 ||
                                     sscanf(line, "lose %95s %d", r->function, &r->card) == 2 ||
                                     sscanf(line, "value %95s %d %lld", r->function, &r->card, &r->code) == 3 ||
                                     sscanf(line, "grow %95s %d %lld", r->function, &r->card, &r->code) == 3 ||
                                     sscanf(line, "fail %95s %d %lld", r->function, &r->card, &r->code) == 3)) {
            r->kind = line[0];
            rules++;
        }
    }
    fclose(file);
}

static struct rule *rule_for(const char *function, int index, int value)
{
    for (int i = 0; i < rules; i++)
        if (!strcmp(rule[i].function, function) && (rule[i].card == index || rule[i].card == -1) &&
            (rule[i].kind == 'v') == value && rule[i].kind != 'g')
            return &rule[i];
    return NULL;
}

static int obey(const char *function, int index)
{
    struct rule *r = rule_for(function, index, 0);
    if (r) {
        if (r->kind == 'h')
            for (;;)
                pause();
        if (r->kind == 'c')
            raise(SIGSEGV);
        if (r->kind == 'l' && index >= 0)
            card[index].lost = 1;
        else
            return (int)r->code;
    }
    return index >= 0 && index < CARDS && card[index].lost ? GPU_IS_LOST : SUCCESS;
}

static unsigned long long answer(const char *function, int index, unsigned long long usual)
{
    struct rule *r = rule_for(function, index, 1);
    return r ? (unsigned long long)r->code : usual;
}

/* A handle is the address of its card. */
#define INDEX(handle) ((int)(((char *)(handle) - (char *)card) / (long)sizeof(struct card)))
#define OBEY(index)                              \
    do {                                         \
        int code = obey(__func__, (index));      \
        if (code)                                \
            return code;                         \
    } while (0)
#define NUMBER(function, value)                                  \
    int function(void *handle, unsigned *out)                    \
    {                                                            \
        OBEY(INDEX(handle));                                     \
        *out = (unsigned)answer(#function, INDEX(handle), value); \
        return SUCCESS;                                          \
    }

int nvmlInitWithFlags(unsigned flags) { (void)flags; load(); OBEY(-1); return init_code; }
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return SUCCESS; }

const char *nvmlErrorString(int code)
{
    switch (code) {
    case 1: return "Uninitialized";
    case 2: return "Invalid Argument";
    case 3: return "Not Supported";
    case 4: return "Insufficient Permissions";
    case 6: return "Not Found";
    case 9: return "Driver Not Loaded";
    case 15: return "GPU is lost";
    case 17: return "The operating system has blocked the request";
    case 18: return "Driver/library version mismatch";
    case 28: return "GPU not found";
    default: return "Unknown Error";
    }
}

int nvmlSystemGetDriverVersion(char *out, unsigned size) { OBEY(-1); snprintf(out, size, "%s", driver); return SUCCESS; }
#ifndef WITHOUT_nvmlSystemGetCudaDriverVersion_v2
int nvmlSystemGetCudaDriverVersion_v2(int *out) { OBEY(-1); *out = cuda; return SUCCESS; }
#endif
int nvmlSystemGetCudaDriverVersion(int *out) { OBEY(-1); *out = cuda; return SUCCESS; }
int nvmlSystemGetProcessName(unsigned pid, char *out, unsigned size)
{
    OBEY(-1);
    snprintf(out, size, "/home/somebody/program-%u", pid);
    return SUCCESS;
}
int nvmlDeviceGetCount_v2(unsigned *out) { OBEY(-1); *out = cards; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **out)
{
    OBEY((int)index);
    if ((int)index >= cards)
        return INVALID_ARGUMENT;
    *out = &card[index];
    return SUCCESS;
}
/* The handle of a slice is its address, which lies within its card. */
static struct slice *slice_of(void *h)
{
    struct card *c = &card[INDEX(h)];
    return (struct slice *)h >= c->slice && (struct slice *)h < c->slice + 8 ? h : NULL;
}
int nvmlDeviceGetName(void *h, char *out, unsigned size)
{
    struct slice *s = slice_of(h);
    OBEY(INDEX(h));
    snprintf(out, size, "%s", s ? s->name : ((struct card *)h)->name);
    return SUCCESS;
}
int nvmlDeviceGetUUID(void *h, char *out, unsigned size)
{
    OBEY(INDEX(h));
    snprintf(out, size, "%s", ((struct card *)h)->uuid);
    return SUCCESS;
}
int nvmlDeviceGetCudaComputeCapability(void *h, int *major, int *minor)
{
    OBEY(INDEX(h));
    *major = ((struct card *)h)->major;
    *minor = ((struct card *)h)->minor;
    return SUCCESS;
}
struct memory { unsigned long long total, free, used; };
int nvmlDeviceGetMemoryInfo(void *h, struct memory *out)
{
    struct card *c = h;
    OBEY(INDEX(h));
    if (slice_of(h)) {
        out->total = out->free = slice_of(h)->total;
        out->used = 0;
        return SUCCESS;
    }
    out->total = c->total;
    out->used = c->used;
    out->free = c->total - c->used;
    return SUCCESS;
}
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, 1)
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, 4)
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, 8)
NUMBER(nvmlDeviceGetMaxPcieLinkWidth, 16)
NUMBER(nvmlDeviceGetEnforcedPowerLimit, 250000)
NUMBER(nvmlDeviceGetPowerManagementDefaultLimit, 350000)
NUMBER(nvmlDeviceGetDisplayActive, 1)
NUMBER(nvmlDeviceGetPowerUsage, 21500)
/* Both shares are the value of the rule for the first; "memory_activity" is a name of this file's own. */
struct utilization { unsigned gpu, memory; };
int nvmlDeviceGetUtilizationRates(void *h, struct utilization *out)
{
    OBEY(INDEX(h));
    out->gpu = (unsigned)answer(__func__, INDEX(h), 0);
    out->memory = (unsigned)answer("memory_activity", INDEX(h), 0);
    return SUCCESS;
}
/* KiB per second: what the card sent (0), what it received (1). */
int nvmlDeviceGetPcieThroughput(void *h, int way, unsigned *out)
{
    OBEY(INDEX(h));
    *out = (unsigned)answer(way ? "pcie_received" : "pcie_sent", INDEX(h), 0);
    return SUCCESS;
}
struct field { unsigned id, scope; long long at, latency; int type, code; unsigned long long value; };
int nvmlDeviceGetFieldValues(void *h, int count, struct field *out)
{
    struct timespec now;
    OBEY(INDEX(h));
    clock_gettime(CLOCK_MONOTONIC, &now);
    for (int i = 0; i < count; i++) {
        out[i].code = NOT_SUPPORTED;
        for (int j = 0; j < rules; j++)
            if (rule[j].kind == 'g' && atoi(rule[j].function) == (int)out[i].id && rule[j].card == INDEX(h)) {
                out[i].code = SUCCESS;
                out[i].value = (unsigned long long)((now.tv_sec + now.tv_nsec / 1e9) * (double)rule[j].code);
            }
    }
    return SUCCESS;
}
#ifndef WITHOUT_nvmlDeviceGetPersistenceMode
NUMBER(nvmlDeviceGetPersistenceMode, 1)
#endif
int nvmlDeviceGetPowerManagementLimitConstraints(void *h, unsigned *least, unsigned *most)
{
    OBEY(INDEX(h));
    *least = 100000;
    *most = 400000;
    return SUCCESS;
}
int nvmlDeviceGetTemperatureThreshold(void *h, int kind, unsigned *out) { (void)kind; OBEY(INDEX(h)); *out = 95; return SUCCESS; }
int nvmlDeviceGetTemperature(void *h, int sensor, unsigned *out) { (void)sensor; OBEY(INDEX(h)); *out = (unsigned)answer(__func__, INDEX(h), 61); return SUCCESS; }
/* kind 2 is the memory's clock. */
int nvmlDeviceGetClockInfo(void *h, int kind, unsigned *out) { OBEY(INDEX(h)); *out = kind == 2 ? 405 : (unsigned)answer(__func__, INDEX(h), 210); return SUCCESS; }
int nvmlDeviceGetMaxClockInfo(void *h, int kind, unsigned *out) { OBEY(INDEX(h)); *out = kind == 2 ? 9751 : 2100; return SUCCESS; }
#ifndef WITHOUT_nvmlDeviceGetCurrentClocksEventReasons
int nvmlDeviceGetCurrentClocksEventReasons(void *h, unsigned long long *out) { OBEY(INDEX(h)); *out = answer(__func__, INDEX(h), 0x4 | 0x20); return SUCCESS; }
#endif
int nvmlDeviceGetCurrentClocksThrottleReasons(void *h, unsigned long long *out) { OBEY(INDEX(h)); *out = 0x4; return SUCCESS; }
int nvmlDeviceGetEccMode(void *h, int *now, int *next) { OBEY(INDEX(h)); *now = *next = 0; return SUCCESS; }
int nvmlDeviceGetTotalEccErrors(void *h, int kind, int counter, unsigned long long *out)
{
    (void)kind; (void)counter;
    OBEY(INDEX(h));
    *out = 0;
    return SUCCESS;
}
#ifndef WITHOUT_nvmlDeviceGetMigMode
int nvmlDeviceGetMigMode(void *h, unsigned *now, unsigned *next)
{
    OBEY(INDEX(h));
    *now = *next = ((struct card *)h)->mig;
    return SUCCESS;
}
NUMBER(nvmlDeviceGetMaxMigDeviceCount, 7)
int nvmlDeviceGetMigDeviceHandleByIndex(void *h, unsigned index, void **out)
{
    struct card *c = h;
    OBEY(INDEX(h));
    if ((int)index >= c->slices)
        return NOT_FOUND;
    *out = &c->slice[index];
    return SUCCESS;
}
#endif
struct process_info { unsigned pid; unsigned long long bytes; unsigned gpu_instance, compute_instance; };
static int processes_of(void *h, unsigned *count, struct process_info *out)
{
    struct card *c = h;
    if ((int)*count < c->processes) {
        *count = c->processes;
        return INSUFFICIENT_SIZE;
    }
    *count = c->processes;
    for (int i = 0; i < c->processes && out; i++)
        out[i] = (struct process_info){c->process[i].pid, c->process[i].bytes, 0, 0};
    return SUCCESS;
}
/* Version 2 has the same layout and came with driver 450; version 3 with 510. */
#ifndef WITHOUT_nvmlDeviceGetComputeRunningProcesses_v2
int nvmlDeviceGetComputeRunningProcesses_v2(void *h, unsigned *count, struct process_info *out)
{
    OBEY(INDEX(h));
    return processes_of(h, count, out);
}
int nvmlDeviceGetGraphicsRunningProcesses_v2(void *h, unsigned *count, struct process_info *out)
{
    (void)out;
    OBEY(INDEX(h));
    *count = 0;
    return SUCCESS;
}
#endif
#ifndef WITHOUT_nvmlDeviceGetComputeRunningProcesses_v3
int nvmlDeviceGetComputeRunningProcesses_v3(void *h, unsigned *count, struct process_info *out)
{
    OBEY(INDEX(h));
    return processes_of(h, count, out);
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *h, unsigned *count, struct process_info *out)
{
    (void)out;
    OBEY(INDEX(h));
    *count = 0;
    return SUCCESS;
}
#endif
