// Lookup of public memories by hierarchical name, for NumPy views of their storage.

#include <algorithm>
#include <cstdint>
#include <string>

#include "verilated.h"
#include "verilated_syms.h"

namespace {

// Escaped identifiers are stored as "\name ".
std::string plain(const char* name) {
    std::string text{name};
    text.erase(std::remove_if(text.begin(), text.end(), [](char c) { return c == '\\' || c == ' '; }),
               text.end());
    return text;
}

}  // namespace

extern "C" {

struct RtloomMemory {
    void* data;
    uint64_t depth;
    uint64_t width;
    uint64_t entry_bytes;
};

// Finds a memory by its path below the design's top, for instance "core.a_mem.storage".
// Returns 0, -1 when no public variable has this path, -2 when it is not a memory.
int rtloom_find_memory(const char* path, RtloomMemory* found) {
    const std::string wanted{path};
    for (const auto& [scope_name, scope] : *Verilated::scopeNameMap()) {
        if (!scope->varsp()) continue;
        const std::string scope_path = plain(scope_name);
        const size_t top_end = scope_path.find('.');
        const std::string prefix
            = top_end == std::string::npos ? "" : scope_path.substr(top_end + 1) + ".";
        for (auto& [name, var] : *scope->varsp()) {
            if (prefix + plain(name) != wanted) continue;
            if (var.udims() != 1) return -2;
            *found = {var.datap(), static_cast<uint64_t>(var.elements(1)), var.entBits(),
                      var.entSize()};
            return 0;
        }
    }
    return -1;
}
}
