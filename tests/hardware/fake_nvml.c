/* A stand-in for libnvidia-ml.so.1: the calls that sgcx makes, answered from the environment.
 *
 * FAKE_NVML_GPUS      how many GPUs there are, all alike
 * FAKE_NVML_INIT      the code that nvmlInitWithFlags returns
 * FAKE_NVML_MEMORY_OF the code that the memory query returns for GPU 0 (3: not supported, as on shared-memory systems)
 * FAKE_NVML_UUID      the code that the UUID query returns
 * FAKE_NVML_DETAILS   the code that every query returns without which a plan can be made
 * FAKE_NVML_NVLINKS   how many NVLinks each GPU has; they lead to a switch, or with FAKE_NVML_BRIDGE to the next GPU
 * FAKE_NVML_MIG       1: every GPU is cut into two instances
 *
 * The process that holds memory is the one that asks.
 *
 * Built with -DNO_MEMORY_V2 it is a driver of before 2021, which lacks the second version of the memory query.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <unistd.h>

typedef struct { unsigned int version; unsigned long long total, reserved, free, used; } memory_v2;
typedef struct { unsigned long long total, free, used; } memory_v1;

static const unsigned long long MIB = 1ull << 20;
static int opened = 0;

static int setting(const char *name) {
    const char *value = getenv(name);
    return value ? atoi(value) : 0;
}

static int text(char *out, unsigned int size, const char *value) {
    if (strlen(value) + 1 > size) return 7;
    strcpy(out, value);
    return 0;
}

int nvmlInitWithFlags(unsigned int flags) {
    (void)flags;
    opened = 1;
    return setting("FAKE_NVML_INIT");
}

int nvmlShutdown(void) { opened = 0; return 0; }

const char *nvmlErrorString(int code) { return code == 3 ? "Not Supported" : code == 15 ? "GPU is lost" : "Unknown Error"; }

int nvmlSystemGetDriverVersion(char *out, unsigned int size) {
    return opened ? text(out, size, "570.133.07") : 1;
}

int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 12080; return 0; }

int nvmlDeviceGetCount_v2(unsigned int *count) { *count = setting("FAKE_NVML_GPUS"); return 0; }

/* The handle is the index plus one, so that it is never null. */
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **handle) {
    *handle = (void *)(uintptr_t)(index + 1);
    return 0;
}

/* Instances of a GPU that is cut have handles from 100 on. */
int nvmlDeviceGetName(void *handle, char *out, unsigned int size) {
    if ((uintptr_t)handle >= 100) return text(out, size, "NVIDIA A100-SXM4-80GB MIG 3g.40gb");
    return text(out, size, "NVIDIA GeForce RTX 4090");
}

int nvmlDeviceGetUUID(void *handle, char *out, unsigned int size) {
    char name[] = "GPU-0-fake";
    if ((uintptr_t)handle >= 100) return text(out, size, "MIG-fake");
    name[4] = (char)('0' + (uintptr_t)handle - 1);
    int code = setting("FAKE_NVML_UUID");
    return code ? code : text(out, size, name);
}

int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) {
    (void)handle;
    *major = 8;
    *minor = 9;
    return 0;
}

static int memory_code(void *handle) {
    return (uintptr_t)handle == 1 ? setting("FAKE_NVML_MEMORY_OF") : 0;
}

int nvmlDeviceGetMemoryInfo(void *handle, memory_v1 *memory) {
    memory->total = 24564 * MIB;
    memory->used = 1000 * MIB;
    memory->free = memory->total - memory->used;
    return memory_code(handle);
}

#ifndef NO_MEMORY_V2
int nvmlDeviceGetMemoryInfo_v2(void *handle, memory_v2 *memory) {
    if (memory->version != 0x02000028) return 25;
    memory->total = 24564 * MIB;
    memory->reserved = 467 * MIB;
    memory->used = 533 * MIB;
    memory->free = memory->total - memory->reserved - memory->used;
    return memory_code(handle);
}
#endif

/* Everything below may be missing. */

typedef struct {
    char bus_id_legacy[16];
    unsigned int domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
} pci_info;
typedef struct { unsigned int pid; unsigned long long used; unsigned int gpu_instance, compute_instance; } process_info;
typedef struct { unsigned char cluster[16]; int status; uint32_t clique; unsigned char state; } fabric_info;

static int details(void) { return setting("FAKE_NVML_DETAILS"); }

#define ANSWER(name, value) \
    int name(void *handle, unsigned int *out) { (void)handle; *out = (value); return details(); }
#define ANSWER_OF(name, value) \
    int name(void *handle, unsigned int which, unsigned int *out) { (void)handle; (void)which; *out = (value); return details(); }

ANSWER(nvmlDeviceGetCurrPcieLinkGeneration, 1)
ANSWER(nvmlDeviceGetCurrPcieLinkWidth, 8)
ANSWER(nvmlDeviceGetMaxPcieLinkGeneration, 4)
ANSWER(nvmlDeviceGetMaxPcieLinkWidth, 16)
ANSWER(nvmlDeviceGetPowerUsage, 61500)
ANSWER(nvmlDeviceGetEnforcedPowerLimit, 300000)
ANSWER(nvmlDeviceGetPowerManagementDefaultLimit, 450000)
ANSWER(nvmlDeviceGetComputeMode, 3)
ANSWER(nvmlDeviceGetPersistenceMode, 0)
ANSWER(nvmlDeviceGetDisplayActive, 1)
ANSWER(nvmlDeviceGetMaxMigDeviceCount, 7)
ANSWER_OF(nvmlDeviceGetClockInfo, which == 1 ? 210 : 405)
ANSWER_OF(nvmlDeviceGetMaxClockInfo, which == 1 ? 3105 : 10501)
ANSWER_OF(nvmlDeviceGetTemperature, 43)
ANSWER_OF(nvmlDeviceGetTemperatureThreshold, which == 1 ? 97 : 0)

int nvmlDeviceGetPowerManagementLimitConstraints(void *handle, unsigned int *least, unsigned int *most) {
    (void)handle;
    *least = 150000;
    *most = 600000;
    return details();
}

int nvmlDeviceGetPciInfo_v3(void *handle, pci_info *pci) {
    snprintf(pci->bus_id, sizeof pci->bus_id, "00000000:%02X:00.0", (unsigned int)(uintptr_t)handle);
    return details();
}

/* Idle, a power cap of software, and a thermal slowdown of hardware. */
int nvmlDeviceGetCurrentClocksEventReasons(void *handle, unsigned long long *reasons) {
    (void)handle;
    *reasons = 0x1 | 0x4 | 0x40;
    return details();
}

int nvmlDeviceGetEccMode(void *handle, unsigned int *current, unsigned int *pending) {
    (void)handle;
    *current = *pending = 1;
    return details();
}

int nvmlDeviceGetTotalEccErrors(void *handle, unsigned int type, unsigned int counter, unsigned long long *count) {
    (void)handle;
    (void)counter;
    *count = type == 0 ? 12 : 3;
    return details();
}

int nvmlDeviceGetRemappedRows(void *handle, unsigned int *corr, unsigned int *unc, unsigned int *pending, unsigned int *failed) {
    (void)handle;
    *corr = *unc = *failed = 0;
    *pending = 1;
    return details();
}

static int processes(unsigned int *count, process_info *out, unsigned int pid, unsigned long long used) {
    if (details()) return details();
    if (*count < 1) { *count = 1; return 7; }
    *count = 1;
    memset(out, 0, sizeof *out);
    out->pid = pid;
    out->used = used;
    return 0;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned int *count, process_info *out) {
    (void)handle;
    return processes(count, out, (unsigned int)getpid(), 533 * MIB);
}

/* One that nobody can see, and whose memory the driver does not tell. */
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *handle, unsigned int *count, process_info *out) {
    (void)handle;
    return processes(count, out, 4000000000u, ~0ull);
}

int nvmlDeviceGetMigMode(void *handle, unsigned int *current, unsigned int *pending) {
    (void)handle;
    *current = *pending = (unsigned int)setting("FAKE_NVML_MIG");
    return details();
}

int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned int index, void **instance) {
    (void)handle;
    *instance = (void *)(uintptr_t)(100 + index);
    return index % 3 == 0 && index < 6 ? 0 : 6;
}

int nvmlDeviceGetGpuFabricInfo(void *handle, fabric_info *info) {
    (void)handle;
    info->state = 3;
    return details();
}

int nvmlDeviceGetNvLinkState(void *handle, unsigned int link, unsigned int *active) {
    (void)handle;
    *active = 1;
    return link < (unsigned int)setting("FAKE_NVML_NVLINKS") ? 0 : 2;
}

int nvmlDeviceGetNvLinkRemoteDeviceType(void *handle, unsigned int link, unsigned int *type) {
    (void)handle;
    (void)link;
    *type = setting("FAKE_NVML_BRIDGE") ? 0 : 2;
    return 0;
}

/* GPU 0 with GPU 1, 2 with 3. */
int nvmlDeviceGetNvLinkRemotePciInfo_v2(void *handle, unsigned int link, pci_info *pci) {
    (void)link;
    return nvmlDeviceGetPciInfo_v3((void *)((((uintptr_t)handle - 1) ^ 1) + 1), pci);
}

int nvmlDeviceGetP2PStatus(void *one, void *other, unsigned int capability, unsigned int *status) {
    (void)one;
    (void)other;
    (void)capability;
    *status = setting("FAKE_NVML_NVLINKS") ? 0 : 1;
    return details();
}

/* GPUs 0 and 1 under one bridge; further ones across the sockets. */
int nvmlDeviceGetTopologyCommonAncestor(void *one, void *other, unsigned int *level) {
    *level = (uintptr_t)one + (uintptr_t)other == 3 ? 30 : 50;
    return details();
}
