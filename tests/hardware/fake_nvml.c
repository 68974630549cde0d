/* A stand-in for libnvidia-ml.so.1: the calls that sgcx makes, answered from the environment.
 *
 * FAKE_NVML_GPUS      how many GPUs there are, all alike
 * FAKE_NVML_INIT      the code that nvmlInitWithFlags returns
 * FAKE_NVML_MEMORY_OF the code that the memory query returns for GPU 0 (3: not supported, as on shared-memory systems)
 * FAKE_NVML_UUID      the code that the UUID query returns
 *
 * Built with -DNO_MEMORY_V2 it is a driver of before 2021, which lacks the second version of the memory query.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

const char *nvmlErrorString(int code) { return code == 3 ? "Not Supported" : "Unknown Error"; }

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

int nvmlDeviceGetName(void *handle, char *out, unsigned int size) {
    (void)handle;
    return text(out, size, "NVIDIA GeForce RTX 4090");
}

int nvmlDeviceGetUUID(void *handle, char *out, unsigned int size) {
    char name[] = "GPU-0-fake";
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
